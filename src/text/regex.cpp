#include "text/regex.h"

#include <algorithm>
#include <cstdint>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/error.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr size_t kLongestPattern = 8192;  // bytes, so that compiling takes no time worth speaking of

// From Oniguruma's syntax to PCRE2's. What means the same in both passes as it is.
class Translator {
public:
    explicit Translator(std::string_view pattern) : pattern_(pattern) {}

    std::string translate() {
        while (at_ < pattern_.size()) {
            switch (pattern_[at_]) {
                case '\\': escape(false); break;
                case '[': set(); break;
                case '(': group(); break;
                case '{': repeat(); break;
                default: result_ += pattern_[at_++];
            }
        }
        return std::move(result_);
    }

private:
    [[noreturn]] void refuse(const std::string& what) const { fail("%s is not supported", printable(what, 60).c_str()); }
    bool ahead(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

    // One of a class; its members, or all other characters.
    void add_class(const std::string& members, std::string_view others, bool negated, bool in_set) {
        if (!in_set) {
            result_ += (negated ? "[^" : "[") + members + "]";
        } else {
            result_ += negated ? others : members;
        }
    }

    void escape(bool in_set) {
        if (at_ + 1 == pattern_.size()) fail("it ends with a backslash");
        const char letter = pattern_[at_ + 1];
        at_ += 2;
        const bool negated = letter == 'P' || letter == 'S' || letter == 'D' || letter == 'W' || letter == 'H';
        switch (letter) {
            case 'p':
            case 'P': return property(negated, in_set);
            case 's':
            case 'S': return add_class(std::string(space_members()), nonspace_members(), negated, in_set);
            case 'd':
            case 'D': return add_class(category_members("Nd"), "\\P{Nd}", negated, in_set);
            case 'h':
            case 'H': return add_class("0-9A-Fa-f", R"(\x00-/:-@G-`g-\x{10FFFF})", negated, in_set);
            case 'w':
            case 'W':
                if (in_set && negated) refuse("\\W between brackets");
                return add_class(word_members(), "", negated, in_set);
            case 'b':
            case 'B': return in_set ? void(result_ += "\\x08") : boundary(letter == 'B');
            case 'v': result_ += "\\x0B"; return;
            case 'u': return code_point();
            case 'C':
            case 'E':
            case 'L':
            case 'N':
            case 'Q':
            case 'U':
            case 'g':
            case 'l':
            case 'o': refuse(std::string("\\") + letter);
            default: result_ += {'\\', letter};
        }
    }

    void boundary(bool negated) {
        const std::string word = "[" + word_members() + "]";
        result_ += negated ? "(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + "))"
                           : "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))";
    }

    // \p{Lu}, \p{^Lu}, \P{Han}
    void property(bool negated, bool in_set) {
        const size_t end = pattern_.find('}', at_);
        if (!ahead("{") || end == std::string_view::npos) fail("\\p is not followed by a property in braces");
        std::string_view name = pattern_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
        if (name.starts_with('^')) {
            negated = !negated;
            name.remove_prefix(1);
        }
        const std::string members = category_members(name);
        if (!members.empty()) return add_class(members, "\\P{" + std::string(name) + "}", negated, in_set);
        const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
            return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        });
        if (!plain) refuse("\\p{" + std::string(name) + "}");
        result_ += (negated ? "\\P{sc:" : "\\p{sc:") + std::string(name) + "}";  // a script; all else PCRE2 refuses
    }

    void code_point() {
        const std::string_view digits = pattern_.substr(at_, 4);
        if (digits.size() < 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
            fail("\\u is not followed by four digits");
        result_ += "\\x{" + std::string(digits) + "}";
        at_ += 4;
    }

    void set() {
        result_ += pattern_[at_++];
        if (ahead("^")) result_ += pattern_[at_++];
        if (ahead("]")) result_ += "\\]", ++at_;
        while (at_ < pattern_.size() && pattern_[at_] != ']') {
            if (ahead("[:space:]")) {
                result_ += space_members();
                at_ += 9;
            } else if (ahead("[")) {
                refuse("a set in a set of characters");
            } else if (ahead("&&")) {
                refuse("&& in a set of characters");
            } else if (ahead("\\")) {
                escape(true);
            } else {
                result_ += pattern_[at_++];
            }
        }
        if (at_ == pattern_.size()) fail("a set of characters is not closed");
        result_ += pattern_[at_++];
    }

    // Oniguruma's flag m is PCRE2's s.
    void group() {
        result_ += pattern_[at_++];
        if (ahead("*")) refuse("(*");
        if (!ahead("?")) return;
        result_ += pattern_[at_++];
        if (ahead("#")) {  // a comment, whose brackets are none
            const size_t end = std::min(pattern_.find(')', at_), pattern_.size());
            result_ += pattern_.substr(at_, end - at_);
            at_ = end;
        }
        for (; at_ < pattern_.size() && std::string_view("imx-").find(pattern_[at_]) != std::string_view::npos; ++at_)
            result_ += pattern_[at_] == 'm' ? 's' : pattern_[at_];
        static constexpr std::string_view kAllowed = ":=!<>#)";
        if (at_ == pattern_.size() || kAllowed.find(pattern_[at_]) == std::string_view::npos)
            refuse("(?" + std::string(pattern_.substr(at_, 1)));
    }

    // {2,3}+ repeats in Oniguruma what is possessive in PCRE2, and {,3} is text there.
    void repeat() {
        if (ahead("{,")) refuse("{,");
        const size_t end = pattern_.find('}', at_);
        if (end != std::string_view::npos && end + 1 < pattern_.size() && pattern_[end + 1] == '+') refuse("{...}+");
        result_ += pattern_[at_++];
    }

    std::string_view pattern_;
    size_t at_ = 0;
    std::string result_;
};

std::string checked(std::string_view pattern) {
    if (pattern.size() > kLongestPattern) fail("it is longer than %zu bytes", kLongestPattern);
    if (find_invalid(pattern) != std::string_view::npos) fail("it is not UTF-8");
    return Translator(pattern).translate();
}

std::string message_of(int error) {
    PCRE2_UCHAR text[200] = {};
    pcre2_get_error_message(error, text, sizeof text);
    return reinterpret_cast<const char*>(text);
}

template <class T, void (*Free)(T*)>
struct Freed {
    void operator()(T* object) const { Free(object); }
};
using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data, pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context, pcre2_match_context_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context, pcre2_compile_context_free>>;

// What a thread needs for matching, whatever the expression.
struct Matcher {
    MatchData data{pcre2_match_data_create(1, nullptr)};
    MatchContext context{pcre2_match_context_create(nullptr)};

    Matcher() { CHECK(data != nullptr && context != nullptr); }
};

Matcher& matcher() {
    thread_local Matcher one;
    return one;
}

}  // namespace

void Regex::FreeCode::operator()(void* code) const { pcre2_code_free(static_cast<pcre2_code*>(code)); }

Regex::Regex(std::string_view pattern) : Regex(Compiled{checked(pattern)}) {}

Regex Regex::literal(std::string_view text) {
    std::string pattern;
    for (const char c : text) pattern += strprintf(static_cast<unsigned char>(c) < 0x80 ? "\\x%02X" : "%c", c);
    if (pattern.size() > 4 * kLongestPattern) fail("the text is longer than %zu bytes", kLongestPattern);
    return Regex(Compiled{pattern});
}

Regex::Regex(const Compiled& compiled) {
    const CompileContext context(pcre2_compile_context_create(nullptr));
    CHECK(context != nullptr);
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context.get(), 100);
    int error = 0;
    PCRE2_SIZE offset = 0;
    const auto* const text = reinterpret_cast<PCRE2_SPTR>(compiled.pattern.data());
    code_.reset(pcre2_compile(text, compiled.pattern.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                              context.get()));
    if (code_ == nullptr) fail("%s", message_of(error).c_str());
    // Where memory cannot be made executable, PCRE2 interprets.
    pcre2_jit_compile(static_cast<pcre2_code*>(code_.get()), PCRE2_JIT_COMPLETE);
}

bool Regex::find(std::string_view text, size_t from, Match& match) const {
    // Enough for any useful expression; one that tries everything takes no more than a moment for a page.
    const size_t limit = 10'000 + 100 * std::min<size_t>(text.size(), 1'000'000);
    Matcher& m = matcher();
    pcre2_set_match_limit(m.context.get(), static_cast<uint32_t>(limit));
    const auto run = [&](uint32_t options) {
        return pcre2_match(static_cast<const pcre2_code*>(code_.get()), reinterpret_cast<PCRE2_SPTR>(text.data()),
                           text.size(), from, options | PCRE2_NO_UTF_CHECK, m.data.get(), m.context.get());
    };
    int result = run(0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(PCRE2_NO_JIT);
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result < 0) fail("the text cannot be cut into words at byte offset %zu: %s", from, message_of(result).c_str());
    const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(m.data.get());
    match = {ends[0], ends[1]};
    if (match.begin < from || match.end < match.begin)  // \K in a look-around
        fail("the text cannot be cut into words at byte offset %zu: a match ends before it begins", from);
    return true;
}

// The next match, as Oniguruma's iterator has it: an empty one right after another match does not count.
bool RegexSplitter::find() {
    while (from_ <= text_.size()) {
        if (!regex_.find(text_, from_, match_)) return false;
        from_ = match_.end;
        if (match_.begin != match_.end || match_.end != last_end_) {
            last_end_ = match_.end;
            return true;
        }
        from_ += from_ < text_.size() ? static_cast<size_t>(decode_utf8(text_, from_).length) : 1;
    }
    return false;
}

bool RegexSplitter::next(Part& part) {
    if (!found_ && from_ <= text_.size() && !text_.empty()) {
        found_ = find();
        if (!found_) from_ = text_.size() + 1;
    }
    const size_t gap_end = found_ ? match_.begin : text_.size();
    if (shown_ < gap_end) {
        part = {text_.substr(shown_, gap_end - shown_), false};
        shown_ = gap_end;
        return true;
    }
    if (!found_) return false;
    part = {text_.substr(match_.begin, match_.end - match_.begin), true};
    shown_ = match_.end;
    found_ = false;
    return true;
}

}  // namespace nib

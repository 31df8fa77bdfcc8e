#include "text/jinja_lexer.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "text/utf8.h"

namespace nib::jinja {
namespace {

using Type = Token::Type;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// Line ends are line feeds, and one at the end of a template is not part of it.
std::string with_line_feeds(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\r') out += text[i];
        if (text[i] == '\r' && !text.substr(i + 1).starts_with('\n')) out += '\n';
    }
    if (out.ends_with('\n')) out.pop_back();
    return out;
}

class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(with_line_feeds(text)) {}

    std::vector<Token> run() {
        while (at_ < text_.size()) {
            size_t open = at_;
            while ((open = text_.find('{', open)) != std::string::npos && !is_tag(open)) ++open;
            add_text(std::min(open, text_.size()));
            if (open == std::string::npos) break;
            read_tag(open);
        }
        tokens_.push_back({Type::End, ""});
        return std::move(tokens_);
    }

private:
    enum class After { Nothing, LineFeed, AllSpace };  // what a tag removes behind itself

    bool is_tag(size_t at) const {
        return at + 1 < text_.size() && (text_[at + 1] == '{' || text_[at + 1] == '%' || text_[at + 1] == '#');
    }
    bool starts(std::string_view what) const { return text_.compare(at_, what.size(), what) == 0; }

    // The text up to a tag at `open`, or the end, without the white space that the tags around it remove.
    void add_text(size_t open) {
        bool begins_line = at_ == 0;
        if (after_ == After::LineFeed && at_ < open && text_[at_] == '\n') {
            ++at_;
            begins_line = true;
        }
        while (after_ == After::AllSpace && at_ < open && is_space(text_[at_])) ++at_;
        std::string_view text = std::string_view(text_).substr(at_, open - at_);
        if (open < text_.size()) {
            const char mark = open + 2 < text_.size() ? text_[open + 2] : ' ';
            const size_t line = text.rfind('\n') + 1;  // 0 if there is none
            const bool blank = std::all_of(text.begin() + static_cast<std::ptrdiff_t>(line), text.end(), is_space);
            if (mark == '-') {
                while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
            } else if (mark != '+' && text_[open + 1] != '{' && blank && (line > 0 || begins_line)) {
                text = text.substr(0, line);
            }
        }
        if (!text.empty()) tokens_.push_back({Type::Text, std::string(text)});
        at_ = open;
        after_ = After::Nothing;
    }

    void read_tag(size_t open) {
        const char kind = text_[open + 1];
        at_ = open + 2;
        if (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '+')) ++at_;
        if (kind == '#') return skip_comment();
        tokens_.push_back({kind == '{' ? Type::OutputBegin : Type::BlockBegin, ""});
        const std::string_view end = kind == '{' ? "}}" : "%}";
        brackets_ = 0;
        for (;;) {
            while (at_ < text_.size() && is_space(text_[at_])) ++at_;
            if (at_ == text_.size()) fail("a tag does not end");
            const bool marked = text_[at_] == '-' || (kind == '%' && text_[at_] == '+');
            if (brackets_ == 0 && text_.compare(at_ + marked, 2, end) == 0) {
                end_tag(kind == '%', marked ? text_[at_] : ' ');
                at_ += marked + end.size();
                tokens_.push_back({kind == '{' ? Type::OutputEnd : Type::BlockEnd, ""});
                return;
            }
            read_token();
        }
    }

    void end_tag(bool trims_line, char mark) {
        after_ = mark == '-' ? After::AllSpace : trims_line && mark != '+' ? After::LineFeed : After::Nothing;
    }

    void skip_comment() {
        const size_t end = text_.find("#}", at_);
        if (end == std::string::npos) fail("a comment does not end");
        end_tag(true, end > at_ ? text_[end - 1] : ' ');
        at_ = end + 2;
    }

    void read_token() {
        const size_t begin = at_;
        const char c = text_[at_];
        if (c == '"' || c == '\'') return read_string(c);
        if (begins_name(c)) {
            while (at_ < text_.size() && (begins_name(text_[at_]) || is_digit(text_[at_]))) ++at_;
            return add(Type::Name, begin);
        }
        if (is_digit(c)) {
            while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
            return add(Type::Integer, begin);
        }
        for (const char* const two : {"==", "!=", "<=", ">=", "//", "**"})
            if (starts(two)) {
                at_ += 2;
                return add(Type::Symbol, begin);
            }
        if (std::string_view("+-*/%~[](){}<>=.:|,").find(c) == std::string_view::npos)
            fail("a tag has %s in it", printable(text_.substr(at_, 1)).c_str());
        if (c == '[' || c == '(' || c == '{') ++brackets_;
        if ((c == ']' || c == ')' || c == '}') && brackets_ > 0) --brackets_;
        ++at_;
        add(Type::Symbol, begin);
    }

    void add(Type type, size_t begin) { tokens_.push_back({type, text_.substr(begin, at_ - begin)}); }

    void read_string(char quote) {
        std::string value;
        for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
            if (text_[at_] == '\\' && at_ + 1 < text_.size())
                read_escape(value);
            else
                value += text_[at_];
        }
        if (at_ == text_.size()) fail("a string does not end");
        ++at_;
        tokens_.push_back({Type::String, std::move(value)});
    }

    // Python's; leaves at_ at the last character of it.
    void read_escape(std::string& value) {
        static constexpr std::string_view kFrom = "ntrbfav0\\'\"", kTo("\n\t\r\b\f\a\v\0\\'\"", 11);
        const char c = text_[++at_];
        const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (digits > 0) {
            uint32_t code = 0;
            const char* const begin = text_.data() + at_ + 1;
            const char* const end = begin + std::min(digits, text_.size() - at_ - 1);
            if (std::from_chars(begin, end, code, 16).ptr != begin + digits) fail("a string has a damaged escape in it");
            append_utf8(value, code);
            at_ += digits;
        } else if (const size_t which = kFrom.find(c); which != std::string_view::npos) {
            value += kTo[which];
        } else if (c != '\n') {
            value += {'\\', c};
        }
    }

    const std::string text_;
    size_t at_ = 0;
    int brackets_ = 0;
    After after_ = After::Nothing;
    std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view text) { return Lexer(text).run(); }

}  // namespace nib::jinja

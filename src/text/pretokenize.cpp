#include "text/pretokenize.h"

#include <array>
#include <cstdint>
#include <string>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/error.h"
#include "text/utf8.h"

namespace nib {
namespace {

// The members of three classes, for use between brackets. What follows \p{L} and \p{N} was not yet a letter or a number in
// Unicode 14, which the PCRE2 of Debian 12 knows, but is one in 16; and PCRE2 counts U+180E as a space, Unicode does not.
#define LETTERS                                                                                                           \
    R"(\p{L}\x{1C89}\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D4A}-\x{10D65}\x{10D6F}-\x{10D85})" \
    R"(\x{10EC2}-\x{10EC4}\x{1123F}\x{11240}\x{11380}-\x{11389}\x{1138B}\x{1138E}\x{11390}-\x{113B5}\x{113B7}\x{113D1})"  \
    R"(\x{113D3}\x{11BC0}-\x{11BE0}\x{11F02}\x{11F04}-\x{11F10}\x{11F12}-\x{11F33}\x{1342F}\x{13441}-\x{13446})"          \
    R"(\x{13460}-\x{143FA}\x{16100}-\x{1611D}\x{16D40}-\x{16D6C}\x{18CFF}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A})"          \
    R"(\x{1E030}-\x{1E06D}\x{1E4D0}-\x{1E4EB}\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})"
#define NUMBERS                                                                                               \
    R"(\p{N}\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{11F50}-\x{11F59}\x{16130}-\x{16139})" \
    R"(\x{16D70}-\x{16D79}\x{1CCF0}-\x{1CCF9}\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})"
#define SPACES R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})"

#define TRAILING_SPACES "[" SPACES "]+(?![^" SPACES "])|[" SPACES "]+"
#define LLAMA3_LIKE(numbers)                                                                                           \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n" LETTERS NUMBERS "]?[" LETTERS "]+|" numbers "| ?[^" SPACES LETTERS NUMBERS \
    "]+[\\r\\n]*|[" SPACES "]*[\\r\\n]+|" TRAILING_SPACES

struct Expression {
    std::string_view regex;     // as a tokenizer.json writes it
    std::string_view compiled;  // the same in PCRE2's hands
};

constexpr std::array<Expression, 3> kExpressions = {
    Expression{R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
               "'s|'t|'re|'ve|'m|'ll|'d| ?[" LETTERS "]+| ?[" NUMBERS "]+| ?[^" SPACES LETTERS NUMBERS
               "]+|" TRAILING_SPACES                                                                                             },
    Expression{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
               R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",                                   LLAMA3_LIKE("[" NUMBERS "]{1,3}")},
    Expression{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
               R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",                                   LLAMA3_LIKE("[" NUMBERS "]")     },
};
constexpr std::array<SplitPattern, 3> kPatterns = {SplitPattern::Gpt2, SplitPattern::Llama3, SplitPattern::Qwen2};

#undef LETTERS
#undef NUMBERS
#undef SPACES
#undef TRAILING_SPACES
#undef LLAMA3_LIKE

struct FreeCode {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;

Code compile(std::string_view regex) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex.data()), regex.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &offset, nullptr));
    CHECK(code != nullptr);
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where memory cannot be made executable, PCRE2 interprets
    return code;
}

const pcre2_code* compiled(SplitPattern pattern) {
    static const std::array<Code, kExpressions.size()> codes = [] {
        std::array<Code, kExpressions.size()> all;
        for (size_t i = 0; i < all.size(); ++i) all[i] = compile(kExpressions[i].compiled);
        return all;
    }();
    return codes[static_cast<size_t>(pattern)].get();
}

}  // namespace

std::string_view split_regex(SplitPattern pattern) { return kExpressions[static_cast<size_t>(pattern)].regex; }

const SplitPattern* find_split_regex(std::string_view regex) {
    for (const SplitPattern& pattern : kPatterns)
        if (regex == split_regex(pattern)) return &pattern;
    return nullptr;
}

struct PieceReader::Match {
    explicit Match(const pcre2_code* expression) : code(expression), data(pcre2_match_data_create(1, nullptr)) {
        CHECK(data != nullptr);
    }
    ~Match() { pcre2_match_data_free(data); }

    const pcre2_code* code;
    pcre2_match_data* data;
};

PieceReader::PieceReader(SplitPattern pattern, std::string_view text)
    : text_(text), match_(std::make_unique<Match>(compiled(pattern))) {}

PieceReader::~PieceReader() = default;

bool PieceReader::next(std::string_view& piece) {
    if (at_ == text_.size()) return false;
    if (at_ == valid_end_) {
        const size_t invalid = find_invalid(text_.substr(at_));
        valid_end_ = invalid == std::string_view::npos ? text_.size() : at_ + invalid;
    }
    size_t end = at_;
    if (at_ < valid_end_) {
        end = match_end();
    } else {
        while (end < text_.size() && decode_utf8(text_, end).length == 0) ++end;
        valid_end_ = end;  // looked for anew
    }
    piece = text_.substr(at_, end - at_);
    at_ = end;
    return true;
}

size_t PieceReader::match_end() {
    const auto run = [&](uint32_t options) {
        return pcre2_match(match_->code, reinterpret_cast<PCRE2_SPTR>(text_.data()), valid_end_, at_,
                           options | PCRE2_NO_UTF_CHECK, match_->data, nullptr);
    };
    int result = run(0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(PCRE2_NO_JIT);
    if (result < 0) fail("the text cannot be cut into words at byte offset %zu: PCRE2 error %d", at_, result);
    const size_t end = pcre2_get_ovector_pointer(match_->data)[1];
    CHECK(end > at_ && end <= valid_end_);
    return end;
}

}  // namespace nib

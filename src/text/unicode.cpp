#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "core/error.h"
#include "text/utf8.h"

namespace nib {
namespace {

struct CodeRange {
    char32_t first, last;
};
struct NewerRange {  // characters that Unicode 14 did not have, by general category
    const char* category;
    CodeRange codes;
};

#include "text/unicode_classes.inc"

constexpr CodeRange kWhitespace[] = {
    {0x9,    0xD   },
    {0x20,   0x20  },
    {0x85,   0x85  },
    {0xA0,   0xA0  },
    {0x1680, 0x1680},
    {0x2000, 0x200A},
    {0x2028, 0x2029},
    {0x202F, 0x202F},
    {0x205F, 0x205F},
    {0x3000, 0x3000}
};
constexpr CodeRange kChinese[] = {
    {0x3400,  0x4DBF },
    {0x4E00,  0x9FFF },
    {0xF900,  0xFAFF },
    {0x20000, 0x2A6DF},
    {0x2A700, 0x2B81F},
    {0x2B920, 0x2CEAF},
    {0x2F800, 0x2FA1F}
};

// Upper case letters that utf8proc may not know yet.
struct NewerUpper {
    CodeRange codes;
    char32_t lower;  // of the first
};
constexpr NewerUpper kNewerUpper[] = {
    {{0x1C89, 0x1C89},   0x1C8A },
    {{0xA7CB, 0xA7CB},   0x264  },
    {{0xA7CC, 0xA7CC},   0xA7CD },
    {{0xA7CE, 0xA7CE},   0xA7CF },
    {{0xA7D2, 0xA7D2},   0xA7D3 },
    {{0xA7D4, 0xA7D4},   0xA7D5 },
    {{0xA7DA, 0xA7DA},   0xA7DB },
    {{0xA7DC, 0xA7DC},   0x19B  },
    {{0x10D50, 0x10D65}, 0x10D70},
    {{0x16EA0, 0x16EB8}, 0x16EBB}
};

// Characters with a decomposition that the tokenizers' Unicode (version 9) does not know.
constexpr CodeRange kNotDecomposed[] = {
    {0x32FF,  0x32FF },
    {0xA7F1,  0xA7F4 },
    {0xAB69,  0xAB69 },
    {0x105C9, 0x105C9},
    {0x105E4, 0x105E4},
    {0x10781, 0x107BA},
    {0x11383, 0x11391},
    {0x113C5, 0x113C8},
    {0x11938, 0x11938},
    {0x16121, 0x16128},
    {0x16D68, 0x16D6A},
    {0x1CCD6, 0x1CCF9},
    {0x1E030, 0x1E06D},
    {0x1F16C, 0x1F16C},
    {0x1FBF0, 0x1FBF9}
};

template <size_t N>
bool contains(const CodeRange (&ranges)[N], char32_t code) {
    const auto* const range =
        std::upper_bound(std::begin(ranges), std::end(ranges), code, [](char32_t c, const auto& r) { return c < r.first; });
    return range != std::begin(ranges) && code <= std::prev(range)->last;
}

std::string members(CodeRange range) {
    return strprintf("\\x{%X}-\\x{%X}", static_cast<unsigned>(range.first), static_cast<unsigned>(range.last));
}

std::string newer_members(std::string_view category) {
    std::string text;
    for (const NewerRange& newer : kNewer)
        if (std::string_view(newer.category).starts_with(category)) text += members(newer.codes);
    return text;
}

// ---- normalization -----------------------------------------------------------------------------------------------------

int combining_class(int32_t code) {
    const int found = code < 0x300 ? 0 : utf8proc_get_property(code)->combining_class;
    return found != 0 && is_mark(static_cast<char32_t>(code)) ? found : 0;
}

void append_decomposed(std::vector<int32_t>& codes, char32_t code, bool compatible) {
    const auto number = static_cast<int32_t>(code);
    if (code < 0xA0 || contains(kNotDecomposed, code)) {
        codes.push_back(number);
        return;
    }
    constexpr int kLongest = 32;  // the longest decomposition, U+FDFA, has 18
    int32_t parts[kLongest];
    int boundary = 0;
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
    const auto count = utf8proc_decompose_char(number, parts, kLongest, options, &boundary);
    CHECK(count > 0 && count <= kLongest);
    codes.insert(codes.end(), parts, parts + count);
}

// Brings each run of marks into the order of their classes.
void sort_marks(std::vector<int32_t>& codes) {
    const auto is_starter = [](int32_t code) { return combining_class(code) == 0; };
    const auto less = [](int32_t a, int32_t b) { return combining_class(a) < combining_class(b); };
    for (auto at = codes.begin(); at != codes.end();) {
        const auto begin = std::find_if_not(at, codes.end(), is_starter);
        at = std::find_if(begin, codes.end(), is_starter);
        if (at - begin > 1) std::stable_sort(begin, at, less);
    }
}

// The character that two make together, -1 for none.
int32_t composed_pair(int32_t first, int32_t second) {
    const bool vowel_or_final = second >= 0x1161 && second <= 0x11C2;  // Hangul is computed, not listed
    if (!vowel_or_final && utf8proc_get_property(second)->comb_index == UINT16_MAX) return -1;
    int32_t pair[] = {first, second};
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    const bool composed = utf8proc_normalize_utf32(pair, 2, options) == 1;
    return composed && !contains(kNotDecomposed, static_cast<char32_t>(pair[0])) ? pair[0] : -1;
}

void compose(std::vector<int32_t>& codes) {
    constexpr size_t kNone = SIZE_MAX;
    size_t size = 0, starter = kNone;
    int last_class = 0;  // of the character before, if it stands between this one and the starter
    for (const int32_t code : codes) {
        const int its_class = combining_class(code);
        const bool adjacent = starter != kNone && starter + 1 == size;
        if (starter != kNone && (adjacent || last_class < its_class)) {
            if (const int32_t both = composed_pair(codes[starter], code); both >= 0) {
                codes[starter] = both;
                continue;
            }
        }
        if (its_class == 0) starter = size;
        last_class = its_class;
        codes[size++] = code;
    }
    codes.resize(size);
}

bool all_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

bool is_whitespace(char32_t code) { return contains(kWhitespace, code); }
bool is_numeric(char32_t code) { return code < 0x80 ? code >= '0' && code <= '9' : contains(kNumeric, code); }
bool is_punctuation(char32_t code) { return contains(kPunctuation, code); }
bool is_control(char32_t code) { return contains(kControl, code); }
bool is_mark(char32_t code) { return code >= 0x300 && contains(kMark, code); }
bool is_nonspacing_mark(char32_t code) { return code >= 0x300 && contains(kNonspacing, code); }
bool is_word(char32_t code) { return contains(kWord, code); }
bool is_chinese(char32_t code) { return code >= 0x3400 && contains(kChinese, code); }

void append_lower(std::string& text, char32_t code) {
    if (code < 0x80) {
        text += static_cast<char>(code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code);
        return;
    }
    if (code == U'İ') {  // the only one that becomes two
        text += "i\u0307";
        return;
    }
    for (const NewerUpper& upper : kNewerUpper)
        if (code >= upper.codes.first && code <= upper.codes.last)
            return append_utf8(text, upper.lower + (code - upper.codes.first));
    append_utf8(text, static_cast<char32_t>(utf8proc_tolower(static_cast<int32_t>(code))));
}

size_t grapheme_end(std::string_view text, size_t at) {
    Decoded here = decode_utf8(text, at);
    for (utf8proc_int32_t state = 0;;) {
        at += static_cast<size_t>(here.length);
        if (at == text.size()) return at;
        const Decoded next = decode_utf8(text, at);
        const bool crlf = here.code == '\r' && next.code == '\n';
        if (here.code < 0x80 && next.code < 0x80 && !crlf) return at;
        if (utf8proc_grapheme_break_stateful(static_cast<int32_t>(here.code), static_cast<int32_t>(next.code), &state))
            return at;
        here = next;
    }
}

std::string normalized(std::string_view text, NormalForm form) {
    if (all_ascii(text)) return std::string(text);
    std::vector<int32_t> codes;
    codes.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        CHECK(next.length > 0);
        append_decomposed(codes, next.code, form == NormalForm::Nfkc || form == NormalForm::Nfkd);
        at += static_cast<size_t>(next.length);
    }
    sort_marks(codes);
    if (form == NormalForm::Nfc || form == NormalForm::Nfkc) compose(codes);
    std::string result;
    result.reserve(text.size());
    for (const int32_t code : codes) append_utf8(result, static_cast<char32_t>(code));
    return result;
}

std::string category_members(std::string_view category) {
    // All but Cs and Cn, which are in no text or would shrink.
    static constexpr std::string_view kCategories =
        "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp Cc Cf Co ";
    const std::string name(category);
    if (name.empty() || name.find(' ') != std::string::npos ||
        (" " + std::string(kCategories)).find(" " + name + " ") == std::string::npos)
        return "";
    return "\\p{" + std::string(category) + "}" + newer_members(category);
}

const std::string& word_members() {
    static const std::string text = [] {
        std::string all;
        for (const char* category : {"L", "M", "Nd", "Pc"}) all += category_members(category);
        for (const CodeRange& range : kOtherWord) all += members(range);
        return all;
    }();
    return text;
}

// PCRE2 counts U+180E as a space, Unicode does not.
std::string_view space_members() {
    return R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
}

std::string_view nonspace_members() {
    return R"(\x00-\x08\x0E-\x1F!-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E})"
           R"(\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})";
}

}  // namespace nib

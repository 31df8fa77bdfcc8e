#include "task/metrics/bleu_tokens.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr std::pair<BleuTokenizer, const char*> kNames[] = {
    {BleuTokenizer::Mteval13a, "13a" },
    {BleuTokenizer::Chinese,   "zh"  },
    {BleuTokenizer::None,      "none"},
    {BleuTokenizer::Character, "char"}
};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    std::string result;
    size_t begin = 0;
    for (size_t at; (at = text.find(from, begin)) != std::string::npos; begin = at + from.size())
        result.append(text, begin, at - begin).append(to);
    text = result.append(text, begin);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_point(char c) { return c == '.' || c == ','; }
// ASCII's punctuation but for ' - . and ,.
bool stands_alone(char c) {
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
           (c >= ':' && c <= '@') || c == '/';
}

// Where `matches` holds for two characters, `put` replaces them; such pairs do not overlap. A byte of a longer character is
// neither a digit nor a point, so bytes do as well.
template <class Matches, class Put>
std::string replace_pairs(const std::string& text, Matches matches, Put put) {
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
        if (i + 1 == text.size() || !matches(text[i], text[i + 1])) {
            result += text[i];
            continue;
        }
        result += put(text[i], text[i + 1]);
        ++i;
    }
    return result;
}

std::string pair_of(std::initializer_list<char> characters) { return {characters}; }

// Puts spaces around punctuation: around a point or comma unless it is within a number, and a dash after a digit.
std::string space_punctuation(std::string_view text) {
    std::string spaced;
    for (const char c : text) {
        if (stands_alone(c))
            spaced += {' ', c, ' '};
        else
            spaced += c;
    }
    spaced = replace_pairs(
        spaced, [](char a, char b) { return !is_digit(a) && is_point(b); },
        [](char a, char b) {
            return pair_of({a, ' ', b, ' '});
        });
    spaced = replace_pairs(
        spaced, [](char a, char b) { return is_point(a) && !is_digit(b); },
        [](char a, char b) {
            return pair_of({' ', a, ' ', b});
        });
    return replace_pairs(
        spaced, [](char a, char b) { return is_digit(a) && b == '-'; },
        [](char a, char b) {
            return pair_of({a, ' ', b, ' '});
        });
}

std::string mteval_13a(std::string_view line) {
    std::string text(line);
    for (const auto& [from, to] : {
             std::pair("<skipped>", ""),
             {"-\n",    ""  },
             {"\n",     " " },
             {"&quot;", "\""},
             {"&amp;",  "&" },
             {"&lt;",   "<" },
             {"&gt;",   ">" }
    })
        replace_all(text, from, to);
    return space_punctuation(" " + text + " ");
}

// sacreBLEU's table. Two of its ranges above U+FFFF are written so that they mean [2001, 2A6D] and [2F81, 2FA1]: with
// those, dashes and curly quotes stand alone, too, and characters beyond U+FFFF do not. Scores are only comparable that
// way.
bool is_chinese_by_sacrebleu(char32_t code) {
    static constexpr std::pair<char32_t, char32_t> kRanges[] = {
        {0x2001, 0x2A6D},
        {0x2E80, 0x2FDF},
        {0x2FF0, 0x303F},
        {0x3100, 0x312F},
        {0x31A0, 0x31EF},
        {0x3200, 0x4DB5},
        {0x4E00, 0x9FBB},
        {0xF900, 0xFA2D},
        {0xFA30, 0xFA6A},
        {0xFA70, 0xFAD9},
        {0xFE10, 0xFE1F},
        {0xFE30, 0xFE4F},
        {0xFF00, 0xFFEF}
    };
    return std::any_of(std::begin(kRanges), std::end(kRanges),
                       [&](const auto& range) { return code >= range.first && code <= range.second; });
}

std::string space_chinese(std::string_view text) {
    std::string spaced;
    for (const std::string_view character : python_characters(python_strip(text))) {
        const bool chinese = is_chinese_by_sacrebleu(decode_utf8(character, 0).code);
        if (chinese) spaced += ' ';
        spaced += character;
        if (chinese) spaced += ' ';
    }
    return spaced;
}

std::string spaced(BleuTokenizer tokenizer, std::string_view text) {
    switch (tokenizer) {
        case BleuTokenizer::Mteval13a: return mteval_13a(python_strip(text, false, true));
        case BleuTokenizer::Chinese: return space_punctuation(space_chinese(text));
        case BleuTokenizer::Character: {
            std::string characters;
            for (const std::string_view character : python_characters(text)) characters.append(character).append(" ");
            return characters;
        }
        case BleuTokenizer::None: break;
    }
    return std::string(text);
}

}  // namespace

const char* bleu_tokenizer_name(BleuTokenizer tokenizer) {
    for (const auto& [known, name] : kNames)
        if (known == tokenizer) return name;
    CHECK(false);
    return "";
}

BleuTokenizer bleu_tokenizer(const std::string& name) {
    std::string names;
    for (const auto& [tokenizer, known] : kNames) {
        if (name == known) return tokenizer;
        names += (names.empty() ? "" : ", ") + std::string(known);
    }
    fail("there is no tokenizer of BLEU called \"%s\"; there are %s", printable(name, 40).c_str(), names.c_str());
}

std::vector<std::string> bleu_tokens(BleuTokenizer tokenizer, std::string_view text) {
    const std::string separated = spaced(tokenizer, text);
    std::vector<std::string> tokens;
    for (const std::string_view word : python_split(separated)) tokens.emplace_back(word);
    return tokens;
}

}  // namespace nib

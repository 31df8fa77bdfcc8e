#include "text/char_tokenizer.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/error.h"

namespace nib {
namespace {

constexpr std::string_view kSpaceMark = "\u2581";
constexpr std::string_view kSpelledSpaceMark = "<U+2581>";

bool is_mark(TokenType type) { return type == TokenType::Control || type == TokenType::Unknown; }

// Whether the token is a character like any other.
bool is_plain(const CharToken& token) { return !is_mark(token.type) && is_character(token.text); }

// The tokens that are not, with or without marks.
AddedTokens collect_longer(const std::vector<CharToken>& tokens, bool marks) {
    std::vector<AddedToken> longer;
    for (size_t id = 0; id < tokens.size(); ++id) {
        const CharToken& token = tokens[id];
        if (token.type != TokenType::Unused && !is_plain(token) && (marks || !is_mark(token.type)))
            longer.push_back({token.text, static_cast<int32_t>(id), is_mark(token.type)});
    }
    return AddedTokens(std::move(longer));
}

// Of a text that is UTF-8.
size_t characters_in(std::string_view text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

void check_token(const CharToken& token, size_t id) {
    const bool is_text = !token.text.empty() && find_invalid(token.text) == std::string_view::npos;
    if (is_text && token.type != TokenType::Unused && (token.type != TokenType::Normal || is_character(token.text))) return;
    const std::string shown = printable(token.text, 40);
    if (!is_text) fail("the character vocabulary is damaged: token %zu, \"%s\", is not UTF-8 text", id, shown.c_str());
    fail("this is not a character vocabulary: token %zu is \"%s\", not one character", id, shown.c_str());
}

}  // namespace

CharTokenizer::CharTokenizer(CharModel model)
    : Tokenizer(model.specials),
      tokens_(std::move(model.tokens)),
      ids_(kPage, -1),
      longer_{AddedTokens({}), AddedTokens({})} {
    if (tokens_.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) fail("the vocabulary is too large");
    check_specials();
    std::unordered_map<std::string_view, int32_t> others;  // than plain characters
    for (int32_t id = 0; id < vocab_size(); ++id) {
        const CharToken& token = tokens_[static_cast<size_t>(id)];
        if (token.type == TokenType::Unused && token.text.empty()) continue;
        check_token(token, static_cast<size_t>(id));
        int32_t before = is_character(token.text) ? id_of(decode_utf8(token.text, 0).code) : -1;
        if (const auto other = others.find(token.text); before < 0 && other != others.end()) before = other->second;
        if (before >= 0)
            fail("the tokens %d and %d of the character vocabulary are both \"%s\"", before, id,
                 printable(token.text, 40).c_str());
        if (is_plain(token))
            add_character(id);
        else
            others.emplace(token.text, id);
    }
    if (token_count() == 0) fail("the character vocabulary is empty");
    longer_ = {collect_longer(tokens_, true), collect_longer(tokens_, false)};
}

void CharTokenizer::add_character(int32_t id) {
    const char32_t code = decode_utf8(token(id).text, 0).code;
    uint16_t& page = page_of_[code / kPage];
    if (page == 0) {
        page = static_cast<uint16_t>(ids_.size() / kPage);
        ids_.resize(ids_.size() + kPage, -1);
    }
    ids_[page * kPage + code % kPage] = id;
}

CharTokenizer CharTokenizer::from_code_points(std::span<const char32_t> code_points) {
    CharModel model;
    model.tokens.resize(code_points.size());
    for (size_t id = 0; id < code_points.size(); ++id) {
        if (!is_code_point(code_points[id]))
            fail("the character vocabulary is damaged: token %zu is 0x%X, which is not a Unicode character", id,
                 static_cast<unsigned>(code_points[id]));
        append_utf8(model.tokens[id].text, code_points[id]);
    }
    return CharTokenizer(std::move(model));
}

CharTokenizer CharTokenizer::from_token_strings(std::span<const std::string> strings, std::span<const TokenType> types,
                                                const SpecialTokens& specials) {
    CHECK(strings.size() == types.size());
    CharModel model{{}, specials};
    model.tokens.reserve(strings.size());
    for (size_t id = 0; id < strings.size(); ++id) {
        model.tokens.push_back({strings[id], types[id]});
        CharToken& token = model.tokens.back();
        if (token.type == TokenType::Unused) token.text.clear();
        if (token.type != TokenType::Normal) continue;
        if (token.text == kSpaceMark)
            token.text = " ";
        else if (token.text == kSpelledSpaceMark)
            token.text = kSpaceMark;
    }
    return CharTokenizer(std::move(model));
}

int32_t CharTokenizer::first_token() const {
    const int32_t line_feed = id_of(U'\n');
    return specials().begin < 0 && specials().end < 0 && line_feed >= 0 ? line_feed : Tokenizer::first_token();
}

std::vector<int32_t> CharTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    std::vector<int32_t> ids;
    ids.reserve(text.size() + 1);
    if (options.begin && begins_texts()) ids.push_back(specials().begin);
    each_token(text, options, [&](int32_t id, size_t, size_t) { ids.push_back(id); });
    return ids;
}

PlacedTokens CharTokenizer::encode_placed(std::string_view text, const EncodeOptions& options) const {
    PlacedTokens tokens;
    each_token(text, options, [&](int32_t id, size_t begin, size_t end) {
        tokens.ids.push_back(id);
        tokens.places.push_back({begin, end});
    });
    return tokens;
}

template <class Take>
void CharTokenizer::each_token(std::string_view text, const EncodeOptions& options, const Take& take) const {
    const auto take_part = [&](std::string_view part, int32_t id) {
        const auto begin = static_cast<size_t>(part.data() - text.data());
        if (id >= 0)
            take(id, begin, begin + part.size());
        else
            each_character(text, begin, begin + part.size(), options, take);
    };
    longer_[options.special ? 0 : 1].split(text, true, take_part, options.verbatim);
}

template <class Take>
void CharTokenizer::each_character(std::string_view text, size_t begin, size_t end, const EncodeOptions& options,
                                   const Take& take) const {
    for (size_t at = begin; at < end;) {
        const Decoded next = decode_utf8(text, at);
        if (next.length == 0) {
            fail("the text is not valid UTF-8 at byte offset %zu (byte 0x%02X); convert it to UTF-8 first", at,
                 static_cast<unsigned>(static_cast<unsigned char>(text[at])));
        }
        int32_t id = id_of(next.code);
        if (id < 0) id = specials().unknown;
        if (id >= 0)
            take(id, at, at + static_cast<size_t>(next.length));
        else if (!options.skip_unknown)
            fail_with(Remedy::SkipUnknown, "the model does not know the character %s, character %zu (byte offset %zu)",
                      describe(next.code).c_str(), characters_in(text.substr(0, at)) + 1, at);
        at += static_cast<size_t>(next.length);
    }
}

const CharToken& CharTokenizer::token(int32_t id) const {
    if (id < 0 || id >= vocab_size()) fail("token %d is outside the vocabulary of %d tokens", id, vocab_size());
    return tokens_[static_cast<size_t>(id)];
}

std::string CharTokenizer::decode(int32_t id) const { return token(id).text; }

std::vector<char32_t> CharTokenizer::code_points() const {
    std::vector<char32_t> codes;
    for (const CharToken& token : tokens_)
        if (is_plain(token)) codes.push_back(decode_utf8(token.text, 0).code);
    return codes;
}

std::vector<std::string> CharTokenizer::token_strings() const {
    std::vector<std::string> strings;
    strings.reserve(tokens_.size());
    std::unordered_set<std::string> used;  // by others than characters that are spelled as they are
    for (const auto& [text, type] : tokens_) {
        std::string& spelled = strings.emplace_back(text);
        if (type == TokenType::Normal && text == " ")
            spelled = kSpaceMark;
        else if (type == TokenType::Normal && text == kSpaceMark)
            spelled = kSpelledSpaceMark;
        else if (type == TokenType::Normal || type == TokenType::Unused)
            continue;
        if (!used.insert(spelled).second)
            fail("the token `%s` is spelled in model files as another one is; give it another text",
                 printable(text, 40).c_str());
    }
    for (size_t id = 0; id < tokens_.size(); ++id) {
        if (tokens_[id].type != TokenType::Unused) continue;
        strings[id] = strprintf("[PAD%zu]", id);
        while (!used.insert(strings[id]).second) strings[id] = "[" + strings[id] + "]";
    }
    return strings;
}

}  // namespace nib

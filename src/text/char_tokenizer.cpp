#include "text/char_tokenizer.h"

#include <utility>

#include "core/error.h"

namespace nib {
namespace {

constexpr std::string_view kSpaceMark = "\u2581";
constexpr char32_t kSpaceMarkCode = U'\u2581';
constexpr std::string_view kSpelledSpaceMark = "<U+2581>";

}  // namespace

CharTokenizer CharTokenizer::from_code_points(std::vector<char32_t> code_points) {
    if (code_points.empty()) fail("the character vocabulary is empty");
    for (size_t i = 0; i < code_points.size(); ++i) {
        const char32_t code = code_points[i];
        if (!is_code_point(code)) {
            fail("the character vocabulary is damaged: token %zu is 0x%X, which is not a Unicode character", i,
                 static_cast<unsigned>(code));
        }
        if (i > 0 && code <= code_points[i - 1]) {
            fail("the character vocabulary is damaged: token %zu, %s, must come after token %zu, %s", i,
                 describe(code).c_str(), i - 1, describe(code_points[i - 1]).c_str());
        }
    }
    return CharTokenizer(std::move(code_points));
}

CharTokenizer CharTokenizer::from_token_strings(std::span<const std::string> strings) {
    std::vector<char32_t> code_points;
    code_points.reserve(strings.size());
    for (const std::string& text : strings) {
        const Decoded first = decode_utf8(text, 0);
        if (text == kSpaceMark) {
            code_points.push_back(U' ');
        } else if (text == kSpelledSpaceMark) {
            code_points.push_back(kSpaceMarkCode);
        } else if (first.length > 0 && static_cast<size_t>(first.length) == text.size()) {
            code_points.push_back(first.code);
        } else {
            fail("this is not a character vocabulary: token %zu is \"%s\", not one UTF-8 character", code_points.size(),
                 printable(text, 40).c_str());
        }
    }
    return from_code_points(std::move(code_points));
}

CharTokenizer::CharTokenizer(std::vector<char32_t> code_points) : code_points_(std::move(code_points)), ids_(kPage, -1) {
    int32_t id = 0;
    for (const char32_t code : code_points_) {
        uint16_t& page = page_of_[code / kPage];
        if (page == 0) {
            page = static_cast<uint16_t>(ids_.size() / kPage);
            ids_.resize(ids_.size() + kPage, -1);
        }
        ids_[page * kPage + code % kPage] = id++;
    }
}

std::vector<int32_t> CharTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    std::vector<int32_t> ids;
    ids.reserve(text.size());
    size_t number = 0;  // of the character, counted from 1
    for (size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        ++number;
        if (next.length == 0) {
            fail("the text is not valid UTF-8 at byte offset %zu (byte 0x%02X); convert it to UTF-8 first", at,
                 static_cast<unsigned>(static_cast<unsigned char>(text[at])));
        }
        const int32_t id = id_of(next.code);
        if (id >= 0) {
            ids.push_back(id);
        } else if (!options.skip_unknown) {
            fail("the model does not know the character %s, character %zu (byte offset %zu); %s",
                 describe(next.code).c_str(), number, at, options.advice);
        }
        at += static_cast<size_t>(next.length);
    }
    return ids;
}

std::string CharTokenizer::decode(int32_t id) const {
    if (id < 0 || id >= vocab_size()) fail("token %d is outside the vocabulary of %d characters", id, vocab_size());
    std::string text;
    append_utf8(text, code_points_[static_cast<size_t>(id)]);
    return text;
}

std::vector<std::string> CharTokenizer::token_strings() const {
    std::vector<std::string> strings;
    strings.reserve(code_points_.size());
    for (const char32_t code : code_points_) {
        std::string& text = strings.emplace_back();
        if (code == U' ') {
            text = kSpaceMark;
        } else if (code == kSpaceMarkCode) {
            text = kSpelledSpaceMark;
        } else {
            append_utf8(text, code);
        }
    }
    return strings;
}

}  // namespace nib

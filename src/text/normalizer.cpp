#include "text/normalizer.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/base64.h"
#include "text/byte_alphabet.h"
#include "text/charsmap.h"
#include "text/sentencepiece_normalizer.h"
#include "text/step_pattern.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

using nlohmann::json;
using Step = std::function<std::string(std::string_view)>;

// A new text of what `add(text, character)` appends for each character.
template <class Add>
std::string each_character(std::string_view text, const Add& add) {
    std::string result;
    result.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        CHECK(next.length > 0);
        add(result, next.code);
        at += static_cast<size_t>(next.length);
    }
    return result;
}

template <class Remove>
std::string without(std::string_view text, const Remove& remove) {
    return each_character(text, [&](std::string& result, char32_t code) {
        if (!remove(code)) append_utf8(result, code);
    });
}

std::string lower(std::string_view text) { return each_character(text, append_lower); }

std::string bert_clean(std::string_view text) {
    return each_character(text, [](std::string& result, char32_t code) {
        if (code == kReplacement || is_control(code)) return;
        append_utf8(result, is_whitespace(code) ? U' ' : code);
    });
}

std::string space_chinese(std::string_view text) {
    return each_character(text, [](std::string& result, char32_t code) {
        const bool chinese = is_chinese(code);
        if (chinese) result += ' ';
        append_utf8(result, code);
        if (chinese) result += ' ';
    });
}

Step bert_normalizer(const json& step) {
    const bool clean = step["clean_text"], chinese = step["handle_chinese_chars"], lowercase = step["lowercase"];
    const bool strip = step["strip_accents"].is_null() ? lowercase : step["strip_accents"].get<bool>();
    return [=](std::string_view text) {
        std::string result(text);
        if (clean) result = bert_clean(result);
        if (chinese) result = space_chinese(result);
        if (strip) result = without(normalized(result, NormalForm::Nfd), is_nonspacing_mark);
        if (lowercase) result = lower(result);
        return result;
    };
}

// The cleaning of Google's neural machine translation.
std::string nmt_clean(std::string_view text) {
    return each_character(text, [](std::string& result, char32_t code) {
        const bool removed = (code >= 0x1 && code <= 0x8) || code == 0xB || (code >= 0xE && code <= 0x1F) || code == 0x7F ||
                             code == 0x8F || code == 0x9F;
        const bool space = code == 0x9 || code == 0xA || code == 0xC || code == 0xD || code == 0x1680 ||
                           (code >= 0x200B && code <= 0x200F) || code == 0x2028 || code == 0x2029 || code == 0x2581 ||
                           code == 0xFEFF || code == kReplacement;
        if (!removed) append_utf8(result, space ? U' ' : code);
    });
}

// A grapheme cluster that begins with something in the table becomes that as a whole if it is short, which is not what
// SentencePiece does but what `tokenizers` does.
std::string normalize_by(const Charsmap& charsmap, std::string_view text) {
    constexpr size_t kLongest = 5;
    const size_t most = longest_result(text.size());
    std::string result;
    result.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const std::string_view cluster = text.substr(at, grapheme_end(text, at) - at);
        at += cluster.size();
        if (const auto whole = cluster.size() <= kLongest ? charsmap.shortest(cluster) : std::nullopt) {
            result += whole->text;
        } else {
            for (size_t begin = 0, end; begin < cluster.size(); begin = end) {
                end = begin + static_cast<size_t>(decode_utf8(cluster, begin).length);
                const std::string_view character = cluster.substr(begin, end - begin);
                const auto one = charsmap.shortest(character);
                result += one ? one->text : character;
            }
        }
        if (result.size() > most) fail("normalizing makes the text more than 64 times as long");
    }
    if (find_invalid(result) != std::string::npos) fail("the charsmap makes text that is not UTF-8");
    return result;
}

Step precompiled(const json& step) {
    const auto bytes = from_base64(step["precompiled_charsmap"].get<std::string>());
    if (!bytes) fail("the charsmap is not base64");
    const auto charsmap = std::make_shared<const Charsmap>(*bytes);
    return [charsmap](std::string_view text) { return normalize_by(*charsmap, text); };
}

std::string strip(std::string_view text, bool left, bool right) {
    size_t begin = text.size(), end = 0;
    for (size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        const size_t after = at + static_cast<size_t>(next.length);
        if (!is_whitespace(next.code)) {
            begin = std::min(begin, at);
            end = after;
        }
        at = after;
    }
    if (!left) begin = 0;
    if (!right) end = text.size();
    return begin < end ? std::string(text.substr(begin, end - begin)) : "";
}

Step replace(const json& step) {
    const auto regex = std::make_shared<const Regex>(read_pattern(step["pattern"]));
    return [regex, content = step["content"].get<std::string>()](std::string_view text) {
        return replace_matches(*regex, text, content);
    };
}

Step make_step(const json& step) {
    const std::string type = step["type"];
    const auto form = [](NormalForm f) { return [f](std::string_view text) { return normalized(text, f); }; };
    if (type == "BertNormalizer") return bert_normalizer(step);
    if (type == "ByteLevel") return spell_bytes;
    if (type == "Lowercase") return lower;
    if (type == "NFC") return form(NormalForm::Nfc);
    if (type == "NFD") return form(NormalForm::Nfd);
    if (type == "NFKC") return form(NormalForm::Nfkc);
    if (type == "NFKD") return form(NormalForm::Nfkd);
    if (type == "Nmt") return nmt_clean;
    if (type == "Precompiled") return precompiled(step);
    if (type == "Replace") return replace(step);
    if (type == "StripAccents") return [](std::string_view text) { return without(text, is_mark); };
    if (type == "Strip")
        return [left = step["strip_left"].get<bool>(), right = step["strip_right"].get<bool>()](std::string_view text) {
            return strip(text, left, right);
        };
    CHECK(type == "Prepend");
    return [prefix = step["prepend"].get<std::string>()](std::string_view text) {
        return text.empty() ? "" : prefix + std::string(text);
    };
}

}  // namespace

Normalizer::Normalizer(const std::string& steps, const std::vector<std::string>& symbols) {
    if (const auto own = read_sentencepiece_step(steps)) {
        const auto step = std::make_shared<const SentencePieceNormalizer>(*own, symbols);
        steps_.emplace_back([step](std::string_view text) { return (*step)(text); });
        return;
    }
    for (const json& step : json::parse(steps)) {
        try {
            steps_.push_back(make_step(step));
        } catch (const Error& error) {
            fail("the normalizer %s: %s", step["type"].get<std::string>().c_str(), error.what());
        }
    }
}

std::string Normalizer::operator()(std::string_view text) const {
    std::string result(text);
    for (const auto& step : steps_) {
        result = step(result);
        if (result.size() > longest_result(text.size())) fail("normalizing makes the text more than 64 times as long");
    }
    return result;
}

}  // namespace nib

#include "text/sentencepiece_normalizer.h"

#include <algorithm>

#include "core/error.h"
#include "text/step_pattern.h"
#include "text/utf8.h"

namespace nib {
namespace {

Trie make_trie(const std::vector<std::string>& texts) {
    std::vector<std::pair<std::string_view, int32_t>> entries;
    for (const std::string& text : texts) entries.emplace_back(text, 0);
    return Trie(std::move(entries));
}

}  // namespace

SentencePieceNormalizer::SentencePieceNormalizer(const SentencePieceSteps& steps, const std::vector<std::string>& symbols)
    : add_prefix_(steps.add_prefix),
      collapse_(steps.collapse),
      suffix_(steps.suffix),
      space_(steps.escape ? "\u2581" : " "),
      charsmap_(steps.charsmap.empty() ? Charsmap() : Charsmap(steps.charsmap)),
      symbols_(make_trie(symbols)) {
    for (const std::string& symbol : symbols) symbol_begins_[static_cast<unsigned char>(symbol[0])] = true;
}

// A symbol, or what the table has, or else a character, and what becomes of it.
SentencePieceNormalizer::Prefix SentencePieceNormalizer::prefix(std::string_view text) const {
    size_t symbol = 0;
    uint32_t node = symbol_begins_[static_cast<unsigned char>(text[0])] ? Trie::kRoot : Trie::kNone;
    for (size_t i = 0; node != Trie::kNone && i < text.size(); ++i) {
        node = symbols_.child(node, text[i]);
        if (node != Trie::kNone && symbols_.value(node) >= 0) symbol = i + 1;
    }
    if (symbol > 0) return {symbol, text.substr(0, symbol)};
    if (const auto match = charsmap_.longest(text)) return {match->length, match->text};
    const auto length = static_cast<size_t>(decode_utf8(text, 0).length);
    if (length == 0) return {1, "\uFFFD"};  // the table has cut a character
    return {length, text.substr(0, length)};
}

std::string SentencePieceNormalizer::operator()(std::string_view text) const {
    const size_t most = longest_result(text.size());
    while (collapse_ && !text.empty()) {
        const Prefix first = prefix(text);
        if (first.text != " ") break;
        text.remove_prefix(first.length);
    }
    if (text.empty()) return "";
    std::string result;
    result.reserve(text.size() + text.size() / 2 + space_.size());
    if (add_prefix_ && !suffix_) result += space_;
    bool after_space = collapse_;
    for (size_t at = 0; at < text.size();) {
        if (text[at] != ' ' && static_cast<unsigned char>(text[at]) < 0x80 && is_plain(text[at])) {
            result += text[at++];
            after_space = false;
            continue;
        }
        const Prefix next = prefix(text.substr(at));
        at += next.length;
        std::string_view added = next.text;
        while (after_space && added.starts_with(' ')) added.remove_prefix(1);
        for (const char byte : added) byte == ' ' ? result += space_ : result += byte;
        if (!added.empty()) after_space = collapse_ && added.ends_with(' ');
        if (result.size() > most) fail("normalizing makes the text more than 64 times as long");
    }
    while (collapse_ && result.ends_with(space_)) result.resize(result.size() - space_.size());
    if (add_prefix_ && suffix_) result += space_;
    return result;
}

}  // namespace nib

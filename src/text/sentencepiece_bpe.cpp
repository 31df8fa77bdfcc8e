#include "text/sentencepiece_bpe.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/error.h"
#include "text/marked_words.h"
#include "text/utf8.h"

namespace nib {
SentencePieceBpe::SentencePieceBpe(const TokenTable& table, const TokenizerSpec& spec)
    : table_(table),
      unknown_(table, spec),
      fuse_unknown_(spec.model.fuse_unknown),
      scores_(spec.scores),
      ranks_(static_cast<size_t>(table.size()), MergeRule::kNone) {
    if (scores_.size() > ranks_.size())
        fail("the vocabulary is damaged: %zu tokens, but %zu scores", ranks_.size(), scores_.size());
    scores_.resize(ranks_.size());
    for (size_t i = 0; i < scores_.size(); ++i)
        if (std::isnan(scores_[i])) fail("the vocabulary is damaged: the score of token %zu is not a number", i);
    std::vector<double> order = scores_;
    std::sort(order.begin(), order.end(), std::greater<>());
    order.erase(std::unique(order.begin(), order.end()), order.end());
    for (int32_t id = 0; id < table.size(); ++id) {
        const TokenType type = table.type(id);
        const std::string_view key = table.key(id);
        const bool text = type == TokenType::Normal || type == TokenType::UserDefined;
        if (!text || !table.is_found(id) || (spec.model.byte_fallback && fallback_byte(key))) continue;
        const auto i = static_cast<size_t>(id);
        ranks_[i] = static_cast<uint32_t>(std::lower_bound(order.begin(), order.end(), scores_[i], std::greater<>()) -
                                          order.begin());
        words_apart_ = words_apart_ && find_marked_word(key, 0) == std::string_view::npos;
    }
}

// The token that neighbours with this text are merged to; -1 for none.
int32_t SentencePieceBpe::find(std::string_view text) const {
    if (text.size() > table_.longest()) return -1;
    const int32_t id = table_.find(text);
    return id >= 0 && ranks_[static_cast<size_t>(id)] != MergeRule::kNone ? id : -1;
}

void SentencePieceBpe::encode(std::string_view word, Work& work) const {
    bool unknown_before = false;
    for (size_t begin = 0; begin < word.size();) {
        const size_t end = words_apart_ ? std::min(find_marked_word(word, begin + 1), word.size()) : word.size();
        encode_part(word.substr(begin, end - begin), unknown_before, work);
        begin = end;
    }
}

void SentencePieceBpe::encode_part(std::string_view part, bool& unknown_before, Work& work) const {
    constexpr int32_t kUnknown = -2;
    if (part.size() >= kNoSymbol) fail("the text has a word of %zu bytes; nib takes less than 4 GiB", part.size());
    auto& symbols = work.symbols;
    auto& begins = work.scratch.begins;
    symbols.clear();
    begins.clear();
    for (size_t at = 0; at < part.size();) {
        const size_t length = std::max<size_t>(static_cast<size_t>(decode_utf8(part, at).length), 1);
        const int32_t id = find(part.substr(at, length));
        symbols.push_back(id >= 0 ? id : kUnknown);
        begins.push_back(static_cast<uint32_t>(at));
        at += length;
    }
    const auto& next = work.scratch.next;
    const auto end_of = [&](uint32_t at) { return next[at] == kNoSymbol ? part.size() : begins[next[at]]; };
    merge_queue(symbols, work.scratch, [&](uint32_t at, uint32_t neighbour) {
        const int32_t id = find(part.substr(begins[at], end_of(neighbour) - begins[at]));
        return MergeRule{id < 0 ? MergeRule::kNone : ranks_[static_cast<size_t>(id)], id};
    });
    for (uint32_t at = 0; at < symbols.size() && at != kNoSymbol; at = next[at]) {
        const std::string_view text = part.substr(begins[at], end_of(at) - begins[at]);
        const bool unknown = symbols[at] == kUnknown && !unknown_.add_bytes(text, work.ids);
        const int32_t id = unknown ? unknown_.id(text, work) : symbols[at];
        if (id >= 0 && !(unknown && unknown_before && fuse_unknown_)) work.ids.push_back(id);
        unknown_before = unknown;
    }
}

}  // namespace nib

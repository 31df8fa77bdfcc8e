#include "text/unigram.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "text/marked_words.h"

namespace nib {
namespace {

constexpr double kUnknownPenalty = 10;  // below the lowest score
constexpr double kUserPenalty = 0.1;    // below the highest score for each byte
constexpr int32_t kUnknown = -1;        // the number of what no token is found for

// Bytes of the character that begins with this one, without a look at the others.
size_t character_length(char lead) {
    static constexpr uint8_t kLengths[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
    return kLengths[static_cast<unsigned char>(lead) >> 4];
}

}  // namespace

Unigram::Unigram(const TokenTable& table, const TokenizerSpec& spec)
    : table_(table),
      unknown_(table, spec),
      unknown_id_(spec.specials.unknown),
      as_sentencepiece_(spec.model.as_sentencepiece),
      scores_(spec.scores),
      unlisted_(spec.unlisted),
      trie_(make_trie(spec)) {}

// SentencePiece finds what was trained and what its users defined, `tokenizers` all of the vocabulary.
bool Unigram::is_found_by_model(const TokenizerSpec& spec, int32_t id) const {
    if (!table_.is_found(id) || std::isinf(scores_[static_cast<size_t>(id)])) return false;
    if (!as_sentencepiece_) return true;
    const TokenType type = table_.type(id);
    const bool byte = spec.model.byte_fallback && fallback_byte(table_.key(id));
    return (type == TokenType::Normal && !byte) || type == TokenType::UserDefined;
}

Trie Unigram::make_trie(const TokenizerSpec& spec) {
    const auto size = static_cast<size_t>(table_.size());
    if (scores_.size() > size) fail("the vocabulary is damaged: %zu tokens, but %zu scores", size, scores_.size());
    scores_.resize(size);
    weights_ = scores_;
    for (const UnlistedPiece& piece : unlisted_) weights_.push_back(piece.score);
    for (size_t i = 0; i < weights_.size(); ++i)
        if (std::isnan(weights_[i]) || weights_[i] == std::numeric_limits<double>::infinity())
            fail("the vocabulary is damaged: the score of token %zu is not a number", i);
    std::vector<std::pair<std::string_view, int32_t>> entries;
    double lowest = std::numeric_limits<double>::infinity(), highest = FLT_MIN;  // as SentencePiece begins
    for (int32_t id = 0; id < table_.size(); ++id) {
        if (!is_found_by_model(spec, id)) continue;
        entries.emplace_back(table_.key(id), id);
        words_apart_ = words_apart_ && find_marked_word(table_.key(id), 0) == std::string_view::npos;
        if (as_sentencepiece_ && table_.type(id) != TokenType::Normal) continue;
        lowest = std::min(lowest, scores_[static_cast<size_t>(id)]);
        highest = std::max(highest, scores_[static_cast<size_t>(id)]);
    }
    for (size_t i = 0; i < unlisted_.size(); ++i) {
        if (unlisted_[i].text.empty() || std::isinf(unlisted_[i].score)) continue;
        if (table_.find(unlisted_[i].text) >= 0)
            fail("the piece \"%s\" without a token has one", printable(unlisted_[i].text, 60).c_str());
        words_apart_ = words_apart_ && find_marked_word(unlisted_[i].text, 0) == std::string_view::npos;
        entries.emplace_back(unlisted_[i].text, table_.size() + static_cast<int32_t>(i));
        lowest = std::min(lowest, unlisted_[i].score);
        highest = std::max(highest, unlisted_[i].score);
    }
    unknown_weight_ = (std::isinf(lowest) ? 0 : lowest) - kUnknownPenalty;
    if (!as_sentencepiece_) return Trie(std::move(entries));
    // What users defined is found wherever it is, by a bonus.
    unknown_weight_ = static_cast<float>(unknown_weight_);
    for (const auto& [text, id] : entries)
        if (id < table_.size() && table_.type(id) == TokenType::UserDefined)
            weights_[static_cast<size_t>(id)] =
                static_cast<float>(static_cast<double>(text.size()) * highest - kUserPenalty);
    return Trie(std::move(entries));
}

// The best way to each byte, by the one before it. SentencePiece rounds sums, so that ids of long texts agree only if they
// are rounded here as well: they go on from `sum_before`.
void Unigram::find_best(std::string_view word, double sum_before, std::vector<PathEnd>& best) const {
    best.assign(word.size() + 1, {sum_before, PathEnd::kNowhere, kUnknown});
    const auto offer = [&](size_t end, double sum, size_t begin, int32_t number) {
        if (as_sentencepiece_) sum = static_cast<float>(sum);
        PathEnd& there = best[end];
        if (there.begin == PathEnd::kNowhere || sum > there.sum) there = {sum, static_cast<uint32_t>(begin), number};
    };
    for (size_t begin = 0; begin < word.size();) {
        const size_t length = std::min(character_length(word[begin]), word.size() - begin);
        const double sum = best[begin].sum;
        bool alone = false;  // the character has a token of its own
        uint32_t node = Trie::kRoot;
        for (size_t at = begin; at < word.size();) {
            node = trie_.child(node, word[at++]);
            if (node == Trie::kNone) break;
            const int32_t number = trie_.value(node);
            if (number < 0) continue;
            offer(at, sum + weights_[static_cast<size_t>(number)], begin, number);
            alone = alone || at == begin + length;
        }
        if (!alone) offer(begin + length, sum + unknown_weight_, begin, kUnknown);
        begin += length;
    }
}

bool Unigram::is_unknown(int32_t number) const {
    return number == kUnknown || (!as_sentencepiece_ && number == unknown_id_);
}

void Unigram::encode(std::string_view word, Work& work) const {
    std::vector<PathEnd>& best = work.best;
    double sum = 0;
    size_t unknown = 0, done = 0;  // where what has no token begins, and where it ends
    const auto close = [&] {
        if (unknown < done) add_unknown(word.substr(unknown, done - unknown), work);
    };
    for (size_t begin = 0; begin < word.size();) {
        const size_t end = words_apart_ ? std::min(find_marked_word(word, begin + 1), word.size()) : word.size();
        const std::string_view part = word.substr(begin, end - begin);
        if (part.size() >= PathEnd::kNowhere)
            fail("the text has a word of %zu bytes; nib takes less than 4 GiB", part.size());
        find_best(part, sum, best);
        sum = best.back().sum;
        // Turns the way around: each place gets the end of the token that begins there.
        for (size_t at = part.size(); at > 0; at = best[at].begin) best[best[at].begin].end = static_cast<uint32_t>(at);
        for (size_t at = 0; at < part.size(); at = best[at].end) {
            const int32_t number = best[best[at].end].number;
            done = begin + at;
            if (!is_unknown(number)) {
                close();
                const int32_t id = number < table_.size() ? number : unknown_.id(part.substr(at), work);
                if (id >= 0) work.ids.push_back(id);
                unknown = begin + best[at].end;
            }
        }
        begin = done = end;
    }
    close();
}

// Neighbours without a token are one text, which may be one of the tokens that are not found by their score.
void Unigram::add_unknown(std::string_view run, Work& work) const {
    int32_t id = table_.find(run);
    if (id >= 0 && as_sentencepiece_ && !std::isinf(scores_[static_cast<size_t>(id)])) id = -1;
    if (id < 0 && unknown_.add_bytes(run, work.ids)) return;
    if (id < 0) id = unknown_.id(run, work);
    if (id >= 0) work.ids.push_back(id);
}

}  // namespace nib

#include "text/word_counts.h"

#include <algorithm>

#include "core/error.h"

namespace nib {
namespace {

constexpr size_t kFirstSlots = 1024;

}  // namespace

WordCounts::WordCounts() : slots_(kFirstSlots) {}

void WordCounts::add(std::string_view word, uint64_t count) {
    const auto hash = static_cast<uint32_t>(std::hash<std::string_view>()(word));
    const size_t mask = slots_.size() - 1;
    size_t at = hash & mask;
    for (; slots_[at] != 0; at = (at + 1) & mask) {
        Entry& entry = entries_[slots_[at] - 1];
        if (entry.hash != hash || text(entry) != word) continue;
        entry.count += count;
        return;
    }
    if (word.size() > UINT32_MAX || entries_.size() == UINT32_MAX / 4)
        fail("the text has too many different words, or too long ones");
    entries_.push_back({texts_.size(), static_cast<uint32_t>(word.size()), hash, count});
    texts_ += word;
    slots_[at] = static_cast<uint32_t>(entries_.size());
    if (entries_.size() > slots_.size() / 2) grow();
}

void WordCounts::grow() {
    std::vector<uint32_t> slots(2 * slots_.size());
    const size_t mask = slots.size() - 1;
    for (size_t i = 0; i < entries_.size(); ++i) {
        size_t at = entries_[i].hash & mask;
        while (slots[at] != 0) at = (at + 1) & mask;
        slots[at] = static_cast<uint32_t>(i + 1);
    }
    slots_ = std::move(slots);
}

void WordCounts::add(const WordCounts& others) {
    for (const Entry& entry : others.entries_) add(others.text(entry), entry.count);
}

std::vector<CountedWord> WordCounts::sorted() const {
    std::vector<CountedWord> words;
    words.reserve(entries_.size());
    for (const Entry& entry : entries_) words.push_back({text(entry), entry.count});
    std::sort(words.begin(), words.end(), [](const CountedWord& a, const CountedWord& b) { return a.text < b.text; });
    return words;
}

WordCounts count_words(DocumentSource& source, const Normalizer& normalizer, const PreTokenizer& pre_tokenizer, int threads,
                       const WorkProgress& progress) {
    std::vector<WordCounts> counts(static_cast<size_t>(threads));
    const auto next = [&](TextPiece& piece) {
        progress(source.bytes_read(), source.total_bytes());
        return source.next(piece);
    };
    for_each_batch(next, threads, [&](int thread, const PieceBatch& batch) {
        for (const TextPiece& piece : batch.pieces) {
            const std::string normalized = normalizer.empty() ? std::string() : normalizer(piece.text);
            pre_tokenizer(normalizer.empty() ? piece.text : normalized, true,
                          [&](std::string_view word, bool) { counts[static_cast<size_t>(thread)].add(word); });
        }
    });
    for (size_t i = 1; i < counts.size(); ++i) counts[0].add(counts[i]);
    return std::move(counts[0]);
}

}  // namespace nib

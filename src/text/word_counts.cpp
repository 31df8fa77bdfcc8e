#include "text/word_counts.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include "core/error.h"
#include "core/parallel.h"

namespace nib {
namespace {

constexpr size_t kFirstSlots = 1024;

// Threads take pieces from a source in turn.
class Counting {
public:
    Counting(TextSource& source, const WorkProgress& progress) : source_(source), progress_(progress) {}

    // Counts with one thread until there is nothing left, or a thread has failed.
    void run(const Normalizer& normalizer, const PreTokenizer& pre_tokenizer, WordCounts& counts) {
        std::vector<TextPiece> pieces;
        uint64_t number;
        while (take(pieces, number)) {
            try {
                for (const TextPiece& piece : pieces) {
                    const std::string normalized = normalizer.empty() ? std::string() : normalizer(piece.text);
                    pre_tokenizer(normalizer.empty() ? piece.text : normalized, true,
                                  [&](std::string_view word, bool) { counts.add(word); });
                }
            } catch (...) {
                note_error(number);
                return;
            }
        }
    }

    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }

private:
    // Short documents are taken together, about as many bytes as one piece has.
    bool take(std::vector<TextPiece>& pieces, uint64_t& number) {
        const std::lock_guard lock(mutex_);
        if (error_ || ended_) return false;
        number = taken_++;
        size_t used = 0, bytes = 0;
        try {
            while (bytes < TextSource::kPiece && !ended_) {
                if (used == pieces.size()) pieces.emplace_back();
                ended_ = !source_.next(pieces[used]);
                if (!ended_) bytes += pieces[used++].text.size() + 1;
            }
            progress_(source_.bytes_read(), source_.total_bytes());
        } catch (...) {
            keep_error(number);
            return false;
        }
        pieces.resize(used);
        return used > 0;
    }

    void note_error(uint64_t number) {
        const std::lock_guard lock(mutex_);
        keep_error(number);
    }

    // Of several the first in the text counts: what comes before it has been taken, and is still being counted.
    void keep_error(uint64_t number) {
        if (error_ && failed_ < number) return;
        error_ = std::current_exception();
        failed_ = number;
    }

    TextSource& source_;
    const WorkProgress& progress_;
    std::mutex mutex_;
    uint64_t taken_ = 0;
    bool ended_ = false;
    std::exception_ptr error_;
    uint64_t failed_ = 0;
};

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

WordCounts count_words(TextSource& source, const Normalizer& normalizer, const PreTokenizer& pre_tokenizer, int threads,
                       const WorkProgress& progress) {
    Counting counting(source, progress);
    std::vector<WordCounts> counts(static_cast<size_t>(threads));
    ThreadPool pool(threads);
    pool.run([&](int thread) { counting.run(normalizer, pre_tokenizer, counts[static_cast<size_t>(thread)]); });
    counting.rethrow();
    for (size_t i = 1; i < counts.size(); ++i) counts[0].add(counts[i]);
    return std::move(counts[0]);
}

}  // namespace nib

#include "text/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// The tokens so far.
class Vocabulary {
public:
    // The id of this text, a new one if it has none; `length` in characters.
    int32_t add(const std::string& text, uint32_t length) {
        const auto [found, is_new] = ids_.emplace(text, static_cast<int32_t>(tokens_.size()));
        if (is_new) {
            tokens_.push_back(text);
            lengths_.push_back(length);
        }
        return found->second;
    }
    int32_t find(const std::string& text) const {
        const auto found = ids_.find(text);
        return found == ids_.end() ? -1 : found->second;
    }

    const std::string& text(int32_t id) const { return tokens_[static_cast<size_t>(id)]; }
    uint32_t length(int32_t id) const { return lengths_[static_cast<size_t>(id)]; }
    int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
    std::vector<std::string> take() { return std::move(tokens_); }

private:
    std::vector<std::string> tokens_;
    std::vector<uint32_t> lengths_;
    std::unordered_map<std::string, int32_t> ids_;
};

// All words as symbols, one after the other.
class Symbols {
public:
    struct Symbol {
        int32_t id;               // -1: merged into one before it
        uint32_t next, previous;  // kNone: the word ends, or begins
        uint32_t word;
    };

    void begin_word(uint64_t count) {
        counts_.push_back(count);
        begins_ = true;
    }
    void add(int32_t id) {
        if (symbols_.size() >= kNone - 1) fail("the text has more than %u characters in different words", kNone - 1);
        const auto at = static_cast<uint32_t>(symbols_.size());
        if (!begins_) symbols_.back().next = at;
        symbols_.push_back({id, kNone, begins_ ? kNone : at - 1, static_cast<uint32_t>(counts_.size() - 1)});
        begins_ = false;
    }

    Symbol& operator[](uint32_t at) { return symbols_[at]; }
    uint32_t size() const { return static_cast<uint32_t>(symbols_.size()); }
    int64_t count_of(const Symbol& symbol) const { return static_cast<int64_t>(counts_[symbol.word]); }

    // Makes the pair at two places, the second of which follows the first, one symbol.
    void merge(uint32_t at, uint32_t gone, int32_t id) {
        symbols_[at].id = id;
        symbols_[gone].id = -1;
        symbols_[at].next = symbols_[gone].next;
        if (symbols_[at].next != kNone) symbols_[symbols_[at].next].previous = at;
    }

private:
    std::vector<Symbol> symbols_;
    std::vector<uint64_t> counts_;  // of the words
    bool begins_ = true;
};

using Places = std::vector<uint32_t>;  // of the left symbols of a pair

struct Pair {
    uint64_t key;  // left << 32 | right
    int64_t count;
    uint32_t fresh;      // where in the list of new candidates it is, kNone: it is not
    uint32_t candidate;  // the last one, kNone: there was none
};

// All pairs that there have ever been, by their keys.
class Pairs {
public:
    Pairs() : slots_(1024, kNone) {}

    uint32_t find_or_add(uint64_t key) {
        const size_t mask = slots_.size() - 1;
        size_t at = hash(key) & mask;
        for (; slots_[at] != kNone; at = (at + 1) & mask)
            if (pairs_[slots_[at]].key == key) return slots_[at];
        if (pairs_.size() >= kNone / 4) fail("the text has too many different pairs of tokens");
        const auto number = static_cast<uint32_t>(pairs_.size());
        pairs_.push_back({key, 0, kNone, kNone});
        slots_[at] = number;
        if (pairs_.size() > slots_.size() / 2) grow();
        return number;
    }
    Pair& operator[](uint32_t number) { return pairs_[number]; }

private:
    static size_t hash(uint64_t key) { return static_cast<size_t>((key ^ key >> 29) * 0x9E3779B97F4A7C15u >> 20); }
    void grow() {
        slots_.assign(2 * slots_.size(), kNone);
        const size_t mask = slots_.size() - 1;
        for (uint32_t number = 0; number < pairs_.size(); ++number) {
            size_t at = hash(pairs_[number].key) & mask;
            while (slots_[at] != kNone) at = (at + 1) & mask;
            slots_[at] = number;
        }
    }

    std::vector<Pair> pairs_;
    std::vector<uint32_t> slots_;
};

uint64_t key_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// The characters to keep, ascending.
std::vector<char32_t> alphabet_of(std::span<const CountedWord> words, int64_t largest) {
    std::map<char32_t, uint64_t> counts;
    for (const auto& [text, count] : words)
        for (size_t at = 0; at < text.size();) {
            const Decoded next = decode_utf8(text, at);
            CHECK(next.length > 0);
            counts[next.code] += count;
            at += static_cast<size_t>(next.length);
        }
    std::vector<std::pair<char32_t, uint64_t>> kept(counts.begin(), counts.end());
    if (largest > 0 && static_cast<size_t>(largest) < kept.size()) {
        std::stable_sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
        kept.resize(static_cast<size_t>(largest));
        std::sort(kept.begin(), kept.end());
    }
    std::vector<char32_t> characters;
    for (const auto& [code, count] : kept) characters.push_back(code);
    return characters;
}

class Trainer {
public:
    explicit Trainer(const BpeTraining& options) : options_(options) {}

    TrainedBpe run(std::span<const CountedWord> words, const WorkProgress& progress) {
        for (const std::string& special : options_.specials) vocabulary_.add(special, 0);
        if (options_.byte_level)
            add_bytes(words);
        else
            add_characters(words);
        if (vocabulary_.size() > options_.size)
            fail_option("size", "is %lld, but the special tokens and the alphabet alone are %lld tokens",
                        static_cast<long long>(options_.size), static_cast<long long>(vocabulary_.size()));
        count_pairs();
        while (vocabulary_.size() < options_.size) {
            const uint32_t candidate = take_best();
            if (candidate == kNone) break;
            merge(candidate);
            progress(static_cast<uint64_t>(vocabulary_.size()), static_cast<uint64_t>(options_.size));
        }
        return {vocabulary_.take(), distinct_merges()};
    }

private:
    struct Candidate {
        uint32_t pair;
        uint32_t previous;  // another candidate of the same pair, kNone: there is none
        Places places;      // where the pair was found; empty when it has been merged
    };
    struct Queued {
        int64_t count;
        uint64_t key;
        uint32_t candidate;

        // What comes later.
        bool operator<(const Queued& other) const {
            if (count != other.count) return count < other.count;
            if (key != other.key) return key > other.key;
            return candidate > other.candidate;
        }
    };

    void add_bytes(std::span<const CountedWord> words) {
        std::array<std::pair<std::string, size_t>, 256> letters;
        for (size_t byte = 0; byte < letters.size(); ++byte)
            letters[byte] = {spell_bytes(std::string(1, static_cast<char>(byte))), byte};
        std::sort(letters.begin(), letters.end());  // UTF-8 sorts as code points do
        std::array<int32_t, 256> ids;
        for (const auto& [letter, byte] : letters) ids[byte] = vocabulary_.add(letter, 1);
        for (const auto& [text, count] : words) {
            symbols_.begin_word(count);
            for (const char byte : text) symbols_.add(ids[static_cast<unsigned char>(byte)]);
        }
    }

    void add_characters(std::span<const CountedWord> words) {
        for (const char32_t code : alphabet_of(words, options_.largest_alphabet)) {
            std::string letter;
            append_utf8(letter, code);
            vocabulary_.add(letter, 1);
        }
        std::string letter;
        for (const auto& [text, count] : words) {
            symbols_.begin_word(count);
            for (size_t at = 0, end; at < text.size(); at = end) {
                end = at + static_cast<size_t>(decode_utf8(text, at).length);
                letter = text.substr(at, end - at);
                if (vocabulary_.find(letter) < 0) continue;
                if (at > 0) letter.insert(0, options_.continuing_prefix);
                if (end == text.size()) letter += options_.word_suffix;
                symbols_.add(vocabulary_.add(letter, 1));
            }
        }
    }

    void count_pairs() {
        for (uint32_t at = 0; at < symbols_.size(); ++at) {
            const auto& symbol = symbols_[at];
            if (symbol.next != kNone) found(key_of(symbol.id, symbols_[symbol.next].id), symbols_.count_of(symbol), at);
        }
        add_fresh();
    }

    // A pair has come to be at a place.
    void found(uint64_t key, int64_t count, uint32_t place) {
        const uint32_t number = pairs_.find_or_add(key);
        Pair& pair = pairs_[number];
        pair.count += count;
        if (pair.fresh == kNone) {
            pair.fresh = static_cast<uint32_t>(fresh_.size());
            fresh_.push_back({number, kNone, {}});
        }
        fresh_[pair.fresh].places.push_back(place);
    }

    // Makes candidates of the pairs found since the last time.
    void add_fresh() {
        for (Candidate& candidate : fresh_) {
            Pair& pair = pairs_[candidate.pair];
            pair.fresh = kNone;
            if (pair.count <= 0) continue;
            const auto number = static_cast<uint32_t>(candidates_.size());
            candidate.previous = std::exchange(pair.candidate, number);
            queue_.push_back({pair.count, pair.key, number});
            std::push_heap(queue_.begin(), queue_.end());
            candidates_.push_back(std::move(candidate));
        }
        fresh_.clear();
    }

    // kNone: nothing is left to merge.
    uint32_t take_best() {
        while (!queue_.empty()) {
            std::pop_heap(queue_.begin(), queue_.end());
            Queued& best = queue_.back();
            const int64_t count = pairs_[candidates_[best.candidate].pair].count;
            if (best.count == count) {
                const uint32_t candidate = best.candidate;
                queue_.pop_back();
                const bool enough = count > 0 && static_cast<uint64_t>(count) >= options_.least_count;
                return enough ? candidate : kNone;
            }
            best.count = count;
            std::push_heap(queue_.begin(), queue_.end());
        }
        return kNone;
    }

    void merge(uint32_t candidate) {
        const uint64_t key = pairs_[candidates_[candidate].pair].key;
        const auto left = static_cast<int32_t>(key >> 32), right = static_cast<int32_t>(key & UINT32_MAX);
        std::string_view rest = vocabulary_.text(right);
        if (!options_.continuing_prefix.empty() && rest.starts_with(options_.continuing_prefix))
            rest.remove_prefix(options_.continuing_prefix.size());
        const int32_t merged = vocabulary_.add(vocabulary_.text(left) + std::string(rest),
                                               vocabulary_.length(left) + vocabulary_.length(right));
        merges_.emplace_back(left, right);
        for (const uint32_t at : take_places(candidate)) {
            const uint32_t gone = symbols_[at].next;
            if (symbols_[at].id == left && gone != kNone && symbols_[gone].id == right) merge_at(at, gone, merged);
        }
        add_fresh();
    }

    void merge_at(uint32_t at, uint32_t gone, int32_t merged) {
        const int64_t count = symbols_.count_of(symbols_[at]);
        const int32_t left = symbols_[at].id, right = symbols_[gone].id;
        symbols_.merge(at, gone, merged);
        const uint32_t before = symbols_[at].previous, after = symbols_[at].next;
        if (before != kNone) {
            const int32_t id = symbols_[before].id;
            pairs_[pairs_.find_or_add(key_of(id, left))].count -= count;
            if (fits(id, merged)) found(key_of(id, merged), count, before);
        }
        if (after != kNone) {
            const int32_t id = symbols_[after].id;
            pairs_[pairs_.find_or_add(key_of(right, id))].count -= count;
            if (fits(merged, id)) found(key_of(merged, id), count, at);
        }
    }

    bool fits(int32_t left, int32_t right) const {
        return options_.max_token_length == 0 ||
               int64_t{vocabulary_.length(left)} + vocabulary_.length(right) < options_.max_token_length;
    }

    // Where to merge, ascending: a candidate's places, and those of others of the same pair in its words.
    Places take_places(uint32_t candidate) {
        Places places = std::exchange(candidates_[candidate].places, {});
        std::vector<uint32_t> words;
        for (uint32_t other = pairs_[candidates_[candidate].pair].candidate; other != kNone;
             other = candidates_[other].previous) {
            if (candidates_[other].places.empty()) continue;
            if (words.empty()) {
                for (const uint32_t place : places) words.push_back(symbols_[place].word);
                std::sort(words.begin(), words.end());
            }
            for (const uint32_t place : candidates_[other].places)
                if (std::binary_search(words.begin(), words.end(), symbols_[place].word)) places.push_back(place);
        }
        std::sort(places.begin(), places.end());
        return places;
    }

    // A pair that was merged several times has the rank of the last time.
    std::vector<std::pair<int32_t, int32_t>> distinct_merges() const {
        std::unordered_map<uint64_t, size_t> last;
        for (size_t rank = 0; rank < merges_.size(); ++rank) last[key_of(merges_[rank].first, merges_[rank].second)] = rank;
        std::vector<std::pair<int32_t, int32_t>> merges;
        for (size_t rank = 0; rank < merges_.size(); ++rank)
            if (last[key_of(merges_[rank].first, merges_[rank].second)] == rank) merges.push_back(merges_[rank]);
        return merges;
    }

    const BpeTraining& options_;
    Vocabulary vocabulary_;
    Symbols symbols_;
    Pairs pairs_;
    std::vector<Candidate> candidates_, fresh_;
    std::vector<Queued> queue_;  // a heap
    std::vector<std::pair<int32_t, int32_t>> merges_;
};

}  // namespace

TrainedBpe train_bpe(std::span<const CountedWord> words, const BpeTraining& options, const WorkProgress& progress) {
    return Trainer(options).run(words, progress);
}

}  // namespace nib

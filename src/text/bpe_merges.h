// The merge rules of byte-pair encoding (Sennrich et al. 2016) and their application to one piece of text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/merge_queue.h"

namespace nib {

class BpeMerges {
public:
    struct Pair {
        int32_t left, right;
    };

    /// Makes room for this many rules.
    explicit BpeMerges(size_t count);

    /// Adds the rule of the next rank. A pair that has a rule already takes the new one, as in Hugging Face's tokenizers.
    /// At most as many as there is room for.
    void add(Pair pair, int32_t merged);

    /// Merges until no rule fits: always the pair of the lowest rank, of several the leftmost. Takes time n log n.
    void apply(std::vector<int32_t>& symbols, MergeScratch& scratch) const;

    /// All pairs in the order of their ranks.
    std::vector<Pair> pairs() const;

private:
    struct Entry {
        Pair pair;
        int32_t merged;
    };

    static uint64_t key_of(Pair pair) {
        return uint64_t{static_cast<uint32_t>(pair.left)} << 32 | static_cast<uint32_t>(pair.right);
    }
    size_t slot_for(Pair pair) const;
    MergeRule rule_of(int32_t left, int32_t right) const;
    void apply_short(std::vector<int32_t>& symbols) const;
    void apply_long(std::vector<int32_t>& symbols, MergeScratch& scratch) const;

    std::vector<Entry> entries_;  // by rank
    std::vector<uint32_t>
        slots_;  // ranks by their pairs, MergeRule::kNone where there is none; open addressing, at most half full
    int shift_;  // a hash's upper bits number the slots
    size_t room_;
};

}  // namespace nib

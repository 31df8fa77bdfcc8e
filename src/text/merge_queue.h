// The order of merging that all kinds of byte-pair encoding share: of all neighbours that a rule fits always those of the
// lowest rank, of several the leftmost.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/error.h"

namespace nib {

/// What merging two neighbours gives; the lowest rank is merged first.
struct MergeRule {
    static constexpr uint32_t kNone = UINT32_MAX;  // the rank where there is no rule

    uint32_t rank;
    int32_t merged;
};

/// Memory that merging uses again and again, one per thread.
struct MergeScratch {
    std::vector<uint32_t> next, previous;  // neighbours of a symbol
    std::vector<MergeRule> rules;          // of the pair that a symbol begins
    std::vector<uint64_t> first, later;    // pairs as rank << 32 | position: those at the start sorted, new ones a heap
    std::vector<uint32_t> begins;          // where symbols begin in a text
};

/// What `next` and `previous` say of the last symbol and of the first.
inline constexpr uint32_t kNoSymbol = UINT32_MAX;

/// Merges symbols until no rule fits, in time n log n. `rule_of(at, neighbour)` is the rule for the symbols at these two
/// positions. A merged symbol stands at its first position, the others become -1, and `scratch.next` leads from one that is
/// left to the next.
template <class RuleOf>
void merge_queue(std::vector<int32_t>& symbols, MergeScratch& scratch, const RuleOf& rule_of) {
    if (symbols.size() >= kNoSymbol) fail("the text has a word of %zu bytes; nib takes less than 4 GiB", symbols.size());
    const auto size = static_cast<uint32_t>(symbols.size());
    auto &next = scratch.next, &previous = scratch.previous;
    auto& rules = scratch.rules;
    auto &first = scratch.first, &later = scratch.later;
    next.resize(size);
    previous.resize(size);
    rules.assign(size, {MergeRule::kNone, -1});
    first.clear();
    later.clear();
    for (uint32_t at = 0; at < size; ++at) {
        next[at] = at + 1 < size ? at + 1 : kNoSymbol;
        previous[at] = at > 0 ? at - 1 : kNoSymbol;
    }
    const auto entry = [&](uint32_t at) { return uint64_t{rules[at].rank} << 32 | at; };
    const auto look_up = [&](uint32_t at) {
        rules[at] = next[at] == kNoSymbol ? MergeRule{MergeRule::kNone, -1} : rule_of(at, next[at]);
        return rules[at].rank != MergeRule::kNone;
    };
    for (uint32_t at = 0; at < size; ++at)
        if (look_up(at)) first.push_back(entry(at));
    std::sort(first.begin(), first.end());
    const auto update = [&](uint32_t at) {
        if (!look_up(at)) return;
        later.push_back(entry(at));
        std::push_heap(later.begin(), later.end(), std::greater<>());
    };
    for (size_t taken = 0; taken < first.size() || !later.empty();) {
        uint64_t least;
        if (later.empty() || (taken < first.size() && first[taken] < later.front())) {
            least = first[taken++];
        } else {
            least = later.front();
            std::pop_heap(later.begin(), later.end(), std::greater<>());
            later.pop_back();
        }
        const auto at = static_cast<uint32_t>(least);
        if (entry(at) != least) continue;  // that pair is gone
        const uint32_t gone = next[at];
        symbols[at] = rules[at].merged;
        rules[gone].rank = MergeRule::kNone;
        symbols[gone] = -1;
        next[at] = next[gone];
        if (next[at] != kNoSymbol) previous[next[at]] = at;
        update(at);
        if (previous[at] != kNoSymbol) update(previous[at]);
    }
}

}  // namespace nib

#include "text/bpe_merges.h"

#include <algorithm>
#include <bit>

#include "core/error.h"

namespace nib {
namespace {

constexpr size_t kShort = 48;  // symbols of a piece that are searched rather than queued

}  // namespace

BpeMerges::BpeMerges(size_t count)
    : slots_(std::bit_ceil(std::max<size_t>(2 * count, 16)), MergeRule::kNone),
      shift_(64 - std::countr_zero(slots_.size())),
      room_(count) {
    CHECK(count < MergeRule::kNone);
    entries_.reserve(count);
}

// Where the pair is, or would be.
size_t BpeMerges::slot_for(Pair pair) const {
    const uint64_t key = key_of(pair);
    auto at = static_cast<size_t>((key ^ key >> 29) * 0x9E3779B97F4A7C15u >> shift_);
    while (slots_[at] != MergeRule::kNone && key_of(entries_[slots_[at]].pair) != key) at = (at + 1) & (slots_.size() - 1);
    return at;
}

void BpeMerges::add(Pair pair, int32_t merged) {
    CHECK(entries_.size() < room_);
    slots_[slot_for(pair)] = static_cast<uint32_t>(entries_.size());
    entries_.push_back({pair, merged});
}

MergeRule BpeMerges::rule_of(int32_t left, int32_t right) const {
    const uint32_t rank = slots_[slot_for({left, right})];
    return {rank, rank == MergeRule::kNone ? -1 : entries_[rank].merged};
}

void BpeMerges::apply(std::vector<int32_t>& symbols, MergeScratch& scratch) const {
    if (symbols.size() <= kShort) {
        apply_short(symbols);
    } else {
        apply_long(symbols, scratch);
    }
}

void BpeMerges::apply_short(std::vector<int32_t>& symbols) const {
    uint32_t ranks[kShort];  // of the pair of symbols i and i + 1
    int32_t merged[kShort];
    const auto look_up = [&](size_t i) {
        const MergeRule rule = rule_of(symbols[i], symbols[i + 1]);
        ranks[i] = rule.rank;
        merged[i] = rule.merged;
    };
    size_t pairs = symbols.empty() ? 0 : symbols.size() - 1;
    for (size_t i = 0; i < pairs; ++i) look_up(i);
    while (pairs > 0) {
        const auto best = static_cast<size_t>(std::min_element(ranks, ranks + pairs) - ranks);
        if (ranks[best] == MergeRule::kNone) break;
        symbols[best] = merged[best];
        std::copy(symbols.begin() + static_cast<ptrdiff_t>(best) + 2, symbols.end(),
                  symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
        symbols.pop_back();
        --pairs;
        std::copy(ranks + best + 1, ranks + pairs + 1, ranks + best);
        std::copy(merged + best + 1, merged + pairs + 1, merged + best);
        if (best > 0) look_up(best - 1);
        if (best < pairs) look_up(best);
    }
}

void BpeMerges::apply_long(std::vector<int32_t>& symbols, MergeScratch& scratch) const {
    merge_queue(symbols, scratch,
                [&](uint32_t at, uint32_t neighbour) { return rule_of(symbols[at], symbols[neighbour]); });
    std::erase(symbols, -1);
}

std::vector<BpeMerges::Pair> BpeMerges::pairs() const {
    std::vector<Pair> pairs;
    pairs.reserve(entries_.size());
    for (size_t rank = 0; rank < entries_.size(); ++rank)
        if (slots_[slot_for(entries_[rank].pair)] == rank) pairs.push_back(entries_[rank].pair);  // not replaced later
    return pairs;
}

}  // namespace nib

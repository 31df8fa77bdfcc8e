#include "text/bpe_merges.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "core/error.h"

namespace nib {
namespace {

constexpr size_t kShort = 48;           // symbols of a piece that are searched rather than queued
constexpr uint32_t kNone = UINT32_MAX;  // no neighbour

}  // namespace

BpeMerges::BpeMerges(size_t count)
    : slots_(std::bit_ceil(std::max<size_t>(2 * count, 16)), kNoRank),
      shift_(64 - std::countr_zero(slots_.size())),
      room_(count) {
    CHECK(count < kNoRank);
    entries_.reserve(count);
}

// Where the pair is, or would be.
size_t BpeMerges::slot_for(Pair pair) const {
    const uint64_t key = key_of(pair);
    auto at = static_cast<size_t>((key ^ key >> 29) * 0x9E3779B97F4A7C15u >> shift_);
    while (slots_[at] != kNoRank && key_of(entries_[slots_[at]].pair) != key) at = (at + 1) & (slots_.size() - 1);
    return at;
}

void BpeMerges::add(Pair pair, int32_t merged) {
    CHECK(entries_.size() < room_);
    slots_[slot_for(pair)] = static_cast<uint32_t>(entries_.size());
    entries_.push_back({pair, merged});
}

BpeMerges::Rule BpeMerges::rule_of(int32_t left, int32_t right) const {
    const uint32_t rank = slots_[slot_for({left, right})];
    return {rank, rank == kNoRank ? -1 : entries_[rank].merged};
}

void BpeMerges::apply(std::vector<int32_t>& symbols, Scratch& scratch) const {
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
        const Rule rule = rule_of(symbols[i], symbols[i + 1]);
        ranks[i] = rule.rank;
        merged[i] = rule.merged;
    };
    size_t pairs = symbols.empty() ? 0 : symbols.size() - 1;
    for (size_t i = 0; i < pairs; ++i) look_up(i);
    while (pairs > 0) {
        const auto best = static_cast<size_t>(std::min_element(ranks, ranks + pairs) - ranks);
        if (ranks[best] == kNoRank) break;
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

void BpeMerges::apply_long(std::vector<int32_t>& symbols, Scratch& scratch) const {
    if (symbols.size() >= kNone) fail("the text has a word of %zu bytes; nib takes less than 4 GiB", symbols.size());
    const auto size = static_cast<uint32_t>(symbols.size());
    auto &next = scratch.next, &previous = scratch.previous;
    auto& rules = scratch.rules;
    auto &first = scratch.first, &later = scratch.later;
    next.resize(size);
    previous.resize(size);
    rules.assign(size, {kNoRank, -1});
    first.clear();
    later.clear();
    const auto entry = [&](uint32_t at) { return uint64_t{rules[at].rank} << 32 | at; };
    const auto look_up = [&](uint32_t at) {
        rules[at] = next[at] == kNone ? Rule{kNoRank, -1} : rule_of(symbols[at], symbols[next[at]]);
        return rules[at].rank != kNoRank;
    };
    for (uint32_t at = 0; at < size; ++at) {
        next[at] = at + 1 < size ? at + 1 : kNone;
        previous[at] = at > 0 ? at - 1 : kNone;
        if (look_up(at)) first.push_back(entry(at));
    }
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
        rules[gone].rank = kNoRank;
        symbols[gone] = -1;
        next[at] = next[gone];
        if (next[at] != kNone) previous[next[at]] = at;
        update(at);
        if (previous[at] != kNone) update(previous[at]);
    }
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

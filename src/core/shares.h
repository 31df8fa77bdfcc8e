// Work stealing: each thread has a contiguous share of the items, and takes from the others' when its own is done.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/op.h"

namespace nib {

/// The rest of a thread's items, [begin,end), below 2^32. The thread takes them from the front, so that it reads memory in
/// order; others steal from the back.
class alignas(64) Share {
public:
    void set(Range items) { left_.store(pack(items), std::memory_order_relaxed); }
    /// An item; -1 when none is left.
    int64_t take_first() {
        return take([](Range& left) { return left.begin++; });
    }
    int64_t take_last() {
        return take([](Range& left) { return --left.end; });
    }

private:
    static uint64_t pack(Range items) {
        return static_cast<uint64_t>(items.begin) << 32 | static_cast<uint64_t>(items.end);
    }
    template <class Pick>
    int64_t take(Pick pick) {
        for (uint64_t left = left_.load(std::memory_order_relaxed);;) {
            Range items{static_cast<int64_t>(left >> 32), static_cast<int64_t>(left & UINT32_MAX)};
            if (items.begin >= items.end) return -1;
            const int64_t item = pick(items);
            if (left_.compare_exchange_weak(left, pack(items), std::memory_order_relaxed)) return item;
        }
    }

    std::atomic<uint64_t> left_{0};  // begin and end, 32 bits each
};

/// The items of thread `thread` of `threads`.
inline Range share_of(int64_t items, int thread, int threads) {
    return {items * thread / threads, items * (thread + 1) / threads};
}

/// One share for each thread, in memory that the caller owns.
class Shares {
public:
    Shares(Share* shares, int threads) : shares_(shares), threads_(threads) {}
    void deal(int64_t items) const {
        for (int t = 0; t < threads_; ++t) shares_[t].set(share_of(items, t, threads_));
    }
    /// The next item for a thread; -1 when none is left. Each item goes to one thread.
    int64_t take(int thread) const {
        int64_t item = shares_[thread].take_first();
        for (int t = 1; item < 0 && t < threads_; ++t) item = shares_[(thread + t) % threads_].take_last();
        return item;
    }

private:
    Share* shares_;
    int threads_;
};

}  // namespace nib

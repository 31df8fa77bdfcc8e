#include "task/shuffle.h"

#include "core/error.h"
#include "core/philox.h"

namespace nib {

int64_t shuffled(uint64_t seed, uint64_t n, int64_t count) {
    if (count < 1) fail("there is nothing to shuffle");
    const auto size = static_cast<uint64_t>(count);
    const uint64_t epoch = n / size;
    uint32_t half = 1;  // bits of each half of a number
    while (half < 32 && (uint64_t{1} << 2 * half) < size) ++half;
    const uint64_t mask = (uint64_t{1} << half) - 1;
    uint64_t x = n % size;
    do {
        uint64_t left = x >> half, right = x & mask;
        for (uint32_t round = 0; round < 4; ++round) {
            const auto words = philox({static_cast<uint32_t>(right), static_cast<uint32_t>(epoch << 2 | round),
                                       kShuffleStream, static_cast<uint32_t>(epoch >> 30)},
                                      seed);
            const uint64_t next = left ^ (words[0] & mask);
            left = right;
            right = next;
        }
        x = left << half | right;
    } while (x >= size);
    return static_cast<int64_t>(x);
}

}  // namespace nib

// Sets of byte ranges, held against a set of single bytes.
#include "core/ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace nib {
namespace {

TEST(Ranges, EqualToSetsOfBytes) {
    std::mt19937 random(1);
    for (int round = 0; round < 100; ++round) {
        Ranges ranges;
        std::vector<bool> bytes(65);
        for (int step = 0; step < 30; ++step) {
            const size_t begin = random() % 60, end = begin + 1 + random() % 4;
            // Where the first run of bytes that reaches into [begin, end) ends.
            size_t at = begin;
            while (at < end && !bytes[at]) ++at;
            const bool overlap = at < end;
            while (overlap && bytes[at]) ++at;
            const size_t expected = overlap ? at : 0;
            ASSERT_EQ(ranges.end_of_overlap(begin, end), expected) << begin << " " << end;
            ranges.add(begin, end);
            std::fill(bytes.begin() + static_cast<ptrdiff_t>(begin), bytes.begin() + static_cast<ptrdiff_t>(end), true);
        }
    }
}

}  // namespace
}  // namespace nib

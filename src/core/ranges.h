// A set of byte ranges.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace nib {

class Ranges {
public:
    /// Adds [begin, end).
    void add(size_t begin, size_t end) {
        const auto first =
            std::lower_bound(ranges_.begin(), ranges_.end(), begin, [](const Range& r, size_t at) { return r.end < at; });
        auto last = first;
        for (; last != ranges_.end() && last->begin <= end; ++last) {
            begin = std::min(begin, last->begin);
            end = std::max(end, last->end);
        }
        if (first == last) {
            ranges_.insert(first, {begin, end});
        } else {
            *first = {begin, end};
            ranges_.erase(first + 1, last);
        }
    }

    /// The end of the first range of the set that overlaps [begin, end); 0 if there is none.
    size_t end_of_overlap(size_t begin, size_t end) const {
        const auto next =
            std::lower_bound(ranges_.begin(), ranges_.end(), begin, [](const Range& r, size_t at) { return r.end <= at; });
        return next != ranges_.end() && next->begin < end ? next->end : 0;
    }

private:
    struct Range {
        size_t begin, end;
    };

    std::vector<Range> ranges_;  // ascending; adjacent ones are merged
};

}  // namespace nib

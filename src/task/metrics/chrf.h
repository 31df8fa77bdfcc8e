// chrF2 (Popović 2015) as sacreBLEU computes it by default: F of runs of 1 to 6 characters without white space, in which
// recall counts twice.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nib {

class Chrf {
public:
    /// Counts a sentence and the one of its references that is closest. Error when there are none.
    void add(std::string_view hypothesis, std::span<const std::string> references);

    double score() const;  // 0 to 100
    /// "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0"
    std::string signature() const;

private:
    static constexpr size_t kLongest = 6;
    struct Counts {
        int64_t hypothesis = 0, reference = 0, common = 0;
    };
    using Orders = std::array<Counts, kLongest>;
    static double score_of(const Orders& orders);

    Orders sums_{};
    size_t fewest_references_ = SIZE_MAX, most_references_ = 0;
};

}  // namespace nib

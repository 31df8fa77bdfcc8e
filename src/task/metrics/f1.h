// Precision, recall and F1 from counts. What would be nothing divided by nothing is 0.
#pragma once

#include <cstdint>

namespace nib {

struct F1 {
    int64_t right = 0;      // what was predicted and is true
    int64_t predicted = 0;  // all that was predicted
    int64_t actual = 0;     // all that is true ("support")

    double precision() const { return ratio(right, predicted); }
    double recall() const { return ratio(right, actual); }
    /// 2 P R / (P + R), which is 2 right / (predicted + actual).
    double f1() const { return ratio(2 * right, predicted + actual); }

    F1& operator+=(const F1& other) {
        right += other.right, predicted += other.predicted, actual += other.actual;
        return *this;
    }

    static double ratio(int64_t part, int64_t whole) {
        return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
    }
};

}  // namespace nib

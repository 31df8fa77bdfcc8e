// How well examples get their labels, of which each may have any number, by scikit-learn's definitions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "task/metrics/f1.h"

namespace nib {

class MultiLabelScores {
public:
    /// Labels are numbered from 0. Error when there are none.
    explicit MultiLabelScores(int64_t labels);

    /// Counts an example by the labels that it has and was given, in any order, each once. Error for a number that is no
    /// label or comes twice.
    void add(std::span<const int32_t> actual, std::span<const int32_t> predicted);

    const F1& of(int64_t label) const { return scores_.at(static_cast<size_t>(label)); }
    /// The mean over all labels, also those that no example has.
    double macro_f1() const;
    double micro_f1() const;
    /// The share of examples with all of their labels and no other.
    double exact_match() const { return F1::ratio(exact_, total_); }
    int64_t total() const { return total_; }

private:
    std::vector<int32_t> sorted(std::span<const int32_t> labels) const;

    std::vector<F1> scores_;
    int64_t total_ = 0, exact_ = 0;
};

}  // namespace nib

// How well examples are sorted into classes of which each has one, by scikit-learn's definitions.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "task/metrics/f1.h"

namespace nib {

class ConfusionMatrix {
public:
    /// Classes are numbered from 0. Error when there are none.
    explicit ConfusionMatrix(int64_t classes);

    /// Counts an example. Error for a number that is no class.
    void add(int64_t actual, int64_t predicted);

    int64_t classes() const { return static_cast<int64_t>(scores_.size()); }
    int64_t total() const { return total_; }
    int64_t count(int64_t actual, int64_t predicted) const;
    /// How well one class is told from the others; its f1() is the "binary" F1 with that class as the positive one.
    const F1& of(int64_t label) const;

    double accuracy() const { return F1::ratio(right_, total_); }
    /// The mean of the classes' F1, of those that an example has or was given.
    double macro_f1() const;
    /// From the sums over all classes; where an example has one class, that is the accuracy.
    double micro_f1() const { return accuracy(); }
    /// Matthews correlation, -1 to 1, as Gorodkin (2004) defines it for any number of classes; 0 where all examples have
    /// one class, or were given one.
    double matthews() const;

    /// The matrix as lines of text, a row for each class and in it the counts of what was predicted. Where the names of all
    /// classes make it too wide, columns are headed by numbers. Error unless there is a name for each class.
    std::string table(std::span<const std::string> names) const;

private:
    void check(int64_t label) const;

    std::vector<F1> scores_;
    std::map<std::pair<int64_t, int64_t>, int64_t> counts_;  // of those that are not 0
    int64_t total_ = 0, right_ = 0;
};

}  // namespace nib

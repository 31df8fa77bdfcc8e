#include "task/metrics/multi_label.h"

#include <algorithm>

#include "core/error.h"

namespace nib {

MultiLabelScores::MultiLabelScores(int64_t labels) {
    if (labels < 1) fail("there are no labels to give");
    scores_.resize(static_cast<size_t>(labels));
}

std::vector<int32_t> MultiLabelScores::sorted(std::span<const int32_t> labels) const {
    std::vector<int32_t> all(labels.begin(), labels.end());
    std::sort(all.begin(), all.end());
    if (!all.empty() && (all.front() < 0 || static_cast<size_t>(all.back()) >= scores_.size()))
        fail("label %d is not one of 0 to %zu", all.front() < 0 ? all.front() : all.back(), scores_.size() - 1);
    if (const auto twice = std::adjacent_find(all.begin(), all.end()); twice != all.end())
        fail("an example has label %d twice", *twice);
    return all;
}

void MultiLabelScores::add(std::span<const int32_t> actual, std::span<const int32_t> predicted) {
    const std::vector<int32_t> has = sorted(actual), given = sorted(predicted);
    for (const int32_t label : has) ++scores_[static_cast<size_t>(label)].actual;
    for (const int32_t label : given) {
        F1& score = scores_[static_cast<size_t>(label)];
        ++score.predicted;
        score.right += std::binary_search(has.begin(), has.end(), label);
    }
    exact_ += has == given;
    ++total_;
}

double MultiLabelScores::macro_f1() const {
    double sum = 0;
    for (const F1& score : scores_) sum += score.f1();
    return sum / static_cast<double>(scores_.size());
}

double MultiLabelScores::micro_f1() const {
    F1 all;
    for (const F1& score : scores_) all += score;
    return all.f1();
}

}  // namespace nib

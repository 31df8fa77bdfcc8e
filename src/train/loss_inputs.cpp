#include "train/loss_inputs.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace nib {

double LossInputs::sum(const Plan& plan) {
    plan.get(loss_, std::span<float>(losses_));
    double sum = 0;
    for (size_t r = 0; r < static_cast<size_t>(rows_); ++r)
        sum += static_cast<double>(losses_[r]) * (counts_for_.empty() ? 1 : static_cast<double>(counts_for_[r]));
    return negative_ ? -sum : sum;
}

void LossInputs::computes(Tensor loss, int64_t most, bool negative) {
    loss_ = loss;
    negative_ = negative;
    losses_.resize(static_cast<size_t>(most));
}

ChosenRows::ChosenRows(Graph& g, int64_t most)
    : most_(most),
      rows_(g.input("rows with targets", {most}, DType::I32)),
      count_(g.add_row_count()),
      chosen_(static_cast<size_t>(most)),
      chosen_targets_(chosen_.size()) {}

int64_t ChosenRows::set(const Plan& plan, std::span<const int32_t> packed, Step& step) {
    std::fill(chosen_.begin(), chosen_.end(), 0);
    std::fill(chosen_targets_.begin(), chosen_targets_.end(), kIgnore);
    size_t count = 0;
    for (size_t r = 0; r < packed.size(); ++r) {
        if (packed[r] == kIgnore) continue;
        if (count == chosen_.size()) fail("there are more than %zu targets", chosen_.size());
        chosen_[count] = static_cast<int32_t>(r), chosen_targets_[count++] = packed[r];
    }
    plan.set<int32_t>(rows_, chosen_);
    const auto rows = static_cast<int64_t>(std::max<size_t>(count, 1));  // a plan computes one row at least
    step.rows[count_] = rows;
    return rows;
}

int64_t LossSource::most_tokens() const {
    const int64_t all = shape.batch * shape.time;
    return usual_share ? static_cast<int64_t>(std::ceil(static_cast<double>(all) * objective().share)) : all;
}

std::unique_ptr<LossInputs> record_loss(const LossSource& source) {
    switch (source.objective().loss) {
        case Loss::Squared:
        case Loss::Binary: return record_number_loss(source);
        case Loss::Contrast: return record_contrast(source);
        case Loss::Span: return record_span(source);
        case Loss::Preference: return record_preference(source);
        case Loss::Policy: return record_policy(source);
        case Loss::CrossEntropy: break;
    }
    return record_token_loss(source);
}

int64_t count_targets(std::span<const int32_t> targets) {
    return std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t != kIgnore; });
}

}  // namespace nib

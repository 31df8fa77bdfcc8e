#include "train/train_batch.h"

#include <algorithm>
#include <numeric>

namespace nib {

TrainBatch::TrainBatch(const ModelConfig& config, const TrainShape& shape, bool ragged, int64_t numbers)
    : B_(static_cast<size_t>(shape.batch)),
      T_(static_cast<size_t>(shape.time)),
      N_(static_cast<size_t>(numbers)),
      ids_(B_ * T_),
      targets_(ids_.size()),
      source_(config.has_encoder() ? ids_.size() : 0),
      source_lengths_(config.has_encoder() ? B_ : 0),
      positions_(ragged ? ids_.size() : 0),
      lengths_(ragged ? B_ : 0),
      segments_(ragged && config.segments > 0 ? ids_.size() : 0),
      second_(shape.objectives.size() > 1 ? ids_.size() : 0),
      numbers_(B_ * N_),
      weights_(shape.objectives.front().weighted ? B_ : 0) {
    if (shape.objectives.front().loss == Loss::Policy)
        policy_ = policy_.map([&](const auto&) { return std::vector<float>(ids_.size()); });
}

TaskRow TrainBatch::row(int64_t b) {
    const auto part = [&]<class T>(std::vector<T>& of) {
        return of.empty() ? std::span<T>() : std::span(of).subspan(static_cast<size_t>(b) * T_, T_);
    };
    const std::span<int32_t> positions = part(positions_), segments = part(segments_), second = part(second_);
    std::iota(positions.begin(), positions.end(), 0);
    std::fill(segments.begin(), segments.end(), 0);
    std::fill(second.begin(), second.end(), kIgnore);
    return {.ids = part(ids_),
            .targets = part(targets_),
            .source = part(source_),
            .positions = positions,
            .length = static_cast<int32_t>(T_),
            .segments = segments,
            .second = second,
            .numbers = std::span(numbers_).subspan(static_cast<size_t>(b) * N_, N_),
            .policy = policy_.map(part)};
}

void TrainBatch::note(int64_t b, const TaskRow& row) {
    if (!source_lengths_.empty()) source_lengths_[static_cast<size_t>(b)] = row.source_length;
    if (!lengths_.empty()) lengths_[static_cast<size_t>(b)] = row.length;
    if (!weights_.empty()) weights_[static_cast<size_t>(b)] = row.weight;
}

void TrainBatch::clear() {
    std::fill(ids_.begin(), ids_.end(), 0);
    std::fill(targets_.begin(), targets_.end(), kIgnore);
    std::fill(second_.begin(), second_.end(), kIgnore);
    for (auto* lengths : {&source_lengths_, &lengths_}) std::fill(lengths->begin(), lengths->end(), 0);
}

TrainStep::MicroBatch TrainBatch::micro_batch() {
    TrainStep::MicroBatch micro;
    micro.source = source();
    micro.ragged = ragged();
    micro.second = second_;
    micro.numbers = numbers_;
    micro.weights = weights_;
    micro.policy = policy_.map([](const std::vector<float>& numbers) { return std::span<const float>(numbers); });
    return micro;
}

std::array<LossSum, kMostObjectives> TrainBatch::evaluate(TrainStep& train) const {
    return train.evaluate_all(ids_, targets_, second_, source(), ragged(), numbers_, weights_);
}

}  // namespace nib

// The rows of a micro-batch, as a task fills them in and a TrainStep takes them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "task/task.h"
#include "train/train_step.h"

namespace nib {

class TrainBatch {
public:
    /// B rows of T tokens, with room for what the shape's objectives take. `ragged`: Task::ragged(). `numbers`: of a row.
    TrainBatch(const ModelConfig& config, const TrainShape& shape, bool ragged, int64_t numbers);

    /// Row b, for a task to fill in; note() then keeps what that has said of it beside its tokens.
    TaskRow row(int64_t b);
    void note(int64_t b, const TaskRow& row);
    /// Leaves no row in use.
    void clear();

    bool is_ragged() const { return !lengths_.empty(); }
    bool is_weighted() const { return !weights_.empty(); }
    int64_t length(int64_t b) const { return lengths_[static_cast<size_t>(b)]; }
    /// Of row b, those of the first or the second objective.
    std::span<const int32_t> targets(size_t objective, int64_t b) const {
        return std::span(objective == 0 ? targets_ : second_).subspan(static_cast<size_t>(b) * T_, T_);
    }

    std::span<const int32_t> ids() const { return ids_; }
    std::span<const int32_t> targets() const { return targets_; }
    /// Everything else in a step; its seed, number and counts are the caller's.
    TrainStep::MicroBatch micro_batch();
    std::array<LossSum, kMostObjectives> evaluate(TrainStep& train) const;

private:
    SourceBatch source() const { return {source_, source_lengths_}; }
    RaggedRows ragged() const { return {positions_, lengths_, segments_}; }

    const size_t B_, T_, N_;
    std::vector<int32_t> ids_, targets_;   // (B*T)
    std::vector<int32_t> source_;          // (B*T) or, without an encoder, none
    std::vector<int32_t> source_lengths_;  // (B), likewise
    std::vector<int32_t> positions_;       // (B*T) or, unless rows are ragged, none
    std::vector<int32_t> lengths_;         // (B), likewise
    std::vector<int32_t> segments_;        // (B*T), likewise and where the model has segments
    std::vector<int32_t> second_;          // (B*T) or, with a single objective, none
    std::vector<float> numbers_;           // (B*N) or, of a head that says none, none
    std::vector<float> weights_;           // (B) or, unless rows are weighted, none
    OfPolicy<std::vector<float>> policy_;  // (B*T) or, unless a policy learns, none
};

}  // namespace nib

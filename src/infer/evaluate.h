// How well a model predicts a text.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "core/plan.h"
#include "model/gpt.h"

namespace nib {

/// Sums over predicted tokens.
struct Evaluation {
    int64_t tokens = 0;
    double loss_sum = 0;  // cross-entropy in nats
    int64_t correct = 0;  // the most probable token was the right one
    double loss() const { return loss_sum / static_cast<double>(tokens); }
    double accuracy() const { return static_cast<double>(correct) / static_cast<double>(tokens); }
};

/// Runs a model over a text in windows of its context, end to end: each predicts tokens 1..T after its first from those
/// before them in the window, so that every token of the text but the first is predicted exactly once.
class Evaluator {
public:
    /// For texts of `tokens` tokens (2 at least), `batch` windows at a time (0: chosen). `weights` must outlive it. Error
    /// when it needs more than `memory` bytes.
    Evaluator(Backend& backend, const GptConfig& config, const GptWeights& weights, int64_t tokens, int64_t batch = 0,
              double memory = std::numeric_limits<double>::infinity());

    /// Reads tokens [begin, begin + ids.size()) of the text.
    using Reader = std::function<void(int64_t begin, std::span<int32_t> ids)>;
    /// Called now and then with the sums so far.
    using Progress = std::function<void(const Evaluation& so_far)>;
    Evaluation run(const Reader& read, const Progress& progress = {});

private:
    int64_t tokens_, time_, batch_;
    Plan plan_;
    Tensor ids_, positions_, targets_;  // (B*T)
    Graph::Loss loss_;
};

}  // namespace nib

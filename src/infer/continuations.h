// How probable a language model finds continuations of a prompt.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infer/engine.h"

namespace nib {

class ContinuationScorer {
public:
    /// Prompts have with each continuation `context` tokens at most. `backend` and `weights` must outlive the scorer.
    ContinuationScorer(Backend& backend, const ModelConfig& config, const Weights& weights, int64_t context);

    /// The sum of the log-probabilities, in nats, of each continuation's tokens after the prompt. What the prompt has in
    /// common with the one before, from its first token on, is not computed again. Error for a prompt or a continuation
    /// without tokens, and for more than there is room for.
    std::vector<double> score(std::span<const int32_t> prompt, std::span<const std::vector<int32_t>> continuations);

private:
    void score_rest(std::span<const std::vector<int32_t>> continuations, std::span<const size_t> which,
                    std::span<double> sums);

    Engine engine_;
    std::vector<int32_t> prompt_;  // in slot 0
};

}  // namespace nib

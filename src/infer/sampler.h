// Chooses the next token from a model's logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nib {

/// The filters in the order in which they apply (that of Hugging Face's transformers).
struct SamplerOptions {
    double repeat_penalty = 1;  // logits of recent tokens are divided by it if positive, else multiplied; 1: off
    int64_t repeat_last = 64;   // how many tokens of prompt and output are recent; -1: all
    double temperature = 0.8;   // logits are divided by it; 0: always the most probable token
    int64_t top_k = 40;         // only the k most probable tokens; 0: off
    double top_p = 0.95;        // only the fewest most probable tokens that together have at least p; 1: off
    double min_p = 0;           // only tokens at least min_p times as probable as the most probable; 0: off
    uint64_t seed = 0;
};

/// UsageError that names the first option which makes no sense.
void check_options(const SamplerOptions& options);

/// Uniform number `position` of sample `sample`, in [0,1), from the seed alone: the same on every machine.
double sample_uniform(uint64_t seed, uint32_t sample, uint64_t position);

class Sampler {
public:
    /// Error when an option makes no sense.
    Sampler(const SamplerOptions& options, int64_t vocab);

    struct Candidate {
        int32_t id;
        double probability;
    };
    /// The distribution that sample() draws from: each token that can be chosen, sorted by decreasing probability if top_k
    /// or top_p are on; sums to 1. Valid until the next call. `history` is all tokens so far, `logits` one per token of the
    /// vocabulary. Error when the logits are not numbers or tokens are missing.
    std::span<const Candidate> probabilities(std::span<const float> logits, std::span<const int32_t> history);

    /// Draws token `position` of sample `sample`.
    int32_t sample(std::span<const float> logits, std::span<const int32_t> history, uint32_t sample, uint64_t position);

private:
    void penalize(std::span<const int32_t> history);
    void keep_top_k(size_t k);
    void keep_top_p(double sum);

    SamplerOptions options_;
    std::vector<Candidate> candidates_;  // with logits, then weights, finally probabilities
    std::vector<char> seen_;             // by token, all 0 between calls
};

}  // namespace nib

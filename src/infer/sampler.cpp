#include "infer/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/philox.h"
#include "model/token_inputs.h"

namespace nib {
namespace {

using Candidate = Sampler::Candidate;

bool more_probable(const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
}

double total(std::span<const Candidate> candidates) {
    double sum = 0;
    for (const Candidate& c : candidates) sum += c.probability;
    return sum;
}

}  // namespace

double sample_uniform(uint64_t seed, uint32_t sample, uint64_t position) {
    const auto words =
        philox({static_cast<uint32_t>(position), sample, kSampleStream, static_cast<uint32_t>(position >> 32)}, seed);
    return static_cast<double>((uint64_t{words[0]} << 32 | words[1]) >> 11) * 0x1p-53;
}

void check_options(const SamplerOptions& o) {
    const auto require = [](bool good, const char* option, double value, const char* range) {
        if (!good) fail_usage_option(option, "is %g; it must be %s", value, range);
    };
    require(o.temperature >= 0 && std::isfinite(o.temperature), "temp", o.temperature, "a number from 0 up");
    require(o.top_k >= 0, "top-k", static_cast<double>(o.top_k), "at least 1, or 0 for no limit");
    require(o.top_p > 0 && o.top_p <= 1, "top-p", o.top_p, "above 0 and at most 1");
    require(o.min_p >= 0 && o.min_p <= 1, "min-p", o.min_p, "between 0 and 1");
    require(o.repeat_penalty > 0 && std::isfinite(o.repeat_penalty), "repeat-penalty", o.repeat_penalty,
            "a number above 0; 1 is none");
    require(o.repeat_last >= -1, "repeat-last", static_cast<double>(o.repeat_last), "at least 0, or -1 for all");
}

Sampler::Sampler(const SamplerOptions& options, int64_t vocab) : options_(options) {
    if (vocab < 1) fail("a vocabulary of %lld tokens has none to choose", static_cast<long long>(vocab));
    check_options(options);
    candidates_.reserve(static_cast<size_t>(vocab));
    seen_.resize(static_cast<size_t>(vocab));
}

void Sampler::penalize(std::span<const int32_t> history) {
    if (options_.repeat_last >= 0)
        history = history.last(std::min(history.size(), static_cast<size_t>(options_.repeat_last)));
    check_tokens(history, static_cast<int64_t>(seen_.size()));
    for (const int32_t id : history) {
        char& seen = seen_[static_cast<size_t>(id)];
        double& logit = candidates_[static_cast<size_t>(id)].probability;
        if (!seen) logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
        seen = 1;
    }
    for (const int32_t id : history) seen_[static_cast<size_t>(id)] = 0;
}

void Sampler::keep_top_k(size_t k) {
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(k);
    std::partial_sort(candidates_.begin(), end, candidates_.end(), more_probable);
    candidates_.resize(k);
}

// Keeps each token whose predecessors together have less than p.
void Sampler::keep_top_p(double sum) {
    // All tokens below (1 - p) / V together have less than 1 - p, so they are dropped without sorting them.
    const double least = (1 - options_.top_p) / static_cast<double>(candidates_.size()) * sum * 0.999;
    std::erase_if(candidates_, [&](const Candidate& c) { return c.probability < least; });
    std::sort(candidates_.begin(), candidates_.end(), more_probable);
    size_t kept = 0;
    for (double before = 0; kept < candidates_.size() && before < options_.top_p * sum; ++kept)
        before += candidates_[kept].probability;
    candidates_.resize(kept);
}

std::span<const Candidate> Sampler::probabilities(std::span<const float> logits, std::span<const int32_t> history) {
    if (logits.size() != seen_.size()) fail("%zu logits are not those of %zu tokens", logits.size(), seen_.size());
    candidates_.clear();
    bool numbers = true;
    for (size_t i = 0; i < logits.size(); ++i) {
        numbers &= logits[i] < INFINITY;  // false for NaN, too
        candidates_.push_back({static_cast<int32_t>(i), static_cast<double>(logits[i])});
    }
    if (options_.repeat_penalty != 1) penalize(history);
    const Candidate best = *std::min_element(candidates_.begin(), candidates_.end(), more_probable);
    if (!numbers || !std::isfinite(best.probability))
        fail("the model's output is not a number; its weights are damaged or its training diverged");
    if (options_.temperature == 0) {
        candidates_.assign(1, {best.id, 1});
        return candidates_;
    }
    for (Candidate& c : candidates_) c.probability = std::exp((c.probability - best.probability) / options_.temperature);
    const auto k = static_cast<size_t>(options_.top_k);
    if (k > 0 && k < candidates_.size()) keep_top_k(k);
    if (options_.top_p < 1) keep_top_p(total(candidates_));
    // The most probable token has weight 1. Weights of 0 have underflowed.
    std::erase_if(candidates_, [&](const Candidate& c) { return c.probability == 0 || c.probability < options_.min_p; });
    const double sum = total(candidates_);
    for (Candidate& c : candidates_) c.probability /= sum;
    return candidates_;
}

int32_t Sampler::sample(std::span<const float> logits, std::span<const int32_t> history, uint32_t sample,
                        uint64_t position) {
    const std::span<const Candidate> candidates = probabilities(logits, history);
    double left = sample_uniform(options_.seed, sample, position);
    for (const Candidate& c : candidates.first(candidates.size() - 1)) {
        left -= c.probability;
        if (left < 0) return c.id;
    }
    return candidates.back().id;
}

}  // namespace nib

#include "infer/continuations.h"

#include <algorithm>

#include "core/error.h"
#include "infer/probabilities.h"

namespace nib {
namespace {

constexpr int64_t kAtOnce = 4;     // continuations side by side
constexpr size_t kLogitRows = 64;  // of a step

double logp(std::span<const float> logits, int32_t token) {
    return static_cast<double>(logits[static_cast<size_t>(token)]) - log_sum_exp(logits);
}

}  // namespace

ContinuationScorer::ContinuationScorer(Backend& backend, const ModelConfig& config, const Weights& weights, int64_t context)
    : engine_(backend, config, weights,
              {.slots = 1 + kAtOnce, .context = context, .logit_rows = static_cast<int64_t>(kLogitRows)}) {}

std::vector<double> ContinuationScorer::score(std::span<const int32_t> prompt,
                                              std::span<const std::vector<int32_t>> continuations) {
    if (prompt.empty()) fail("there is no prompt to continue");
    for (const std::vector<int32_t>& one : continuations) {
        if (one.empty()) fail("a continuation has no tokens");
        check_tokens(one, engine_.vocab(), false);
    }
    const auto shared = std::mismatch(prompt_.begin(), prompt_.end(), prompt.begin(), prompt.end()).second - prompt.begin();
    const auto kept = std::min<size_t>(static_cast<size_t>(shared), prompt.size() - 1);
    engine_.truncate(0, static_cast<int64_t>(kept));
    prompt_.resize(kept);  // all that is known to be there, should a step fail
    const std::span<const float> logits = engine_.append(0, prompt.subspan(kept));
    prompt_.assign(prompt.begin(), prompt.end());
    require_numbers(logits);
    std::vector<double> sums;
    std::vector<size_t> longer;
    for (size_t i = 0; i < continuations.size(); ++i) {
        sums.push_back(logp(logits, continuations[i][0]));
        if (continuations[i].size() > 1) longer.push_back(i);
    }
    for (size_t first = 0; first < longer.size(); first += size_t{kAtOnce})
        score_rest(continuations, std::span(longer).subspan(first, std::min(longer.size() - first, size_t{kAtOnce})), sums);
    return sums;
}

// Adds the tokens after the first of some continuations, each in a slot of its own.
void ContinuationScorer::score_rest(std::span<const std::vector<int32_t>> continuations, std::span<const size_t> which,
                                    std::span<double> sums) {
    struct Target {
        size_t continuation;
        int32_t token;
    };
    std::vector<EngineRow> rows;
    std::vector<Target> targets;  // of the rows
    const int64_t length = engine_.length(0);
    for (size_t i = 0; i < which.size(); ++i) {
        const auto slot = static_cast<int32_t>(1 + i);
        const std::vector<int32_t>& tokens = continuations[which[i]];
        engine_.copy(0, slot, length);
        for (size_t t = 0; t + 1 < tokens.size(); ++t) {
            rows.push_back({tokens[t], slot, length + static_cast<int64_t>(t), true});
            targets.push_back({which[i], tokens[t + 1]});
        }
    }
    const auto V = static_cast<size_t>(engine_.vocab());
    for (size_t first = 0; first < rows.size(); first += kLogitRows) {
        const size_t count = std::min(rows.size() - first, kLogitRows);
        const std::span<const float> logits = engine_.step(std::span(rows).subspan(first, count));
        require_numbers(logits);
        for (size_t r = 0; r < count; ++r) {
            const Target& target = targets[first + r];
            sums[target.continuation] += logp(logits.subspan(r * V, V), target.token);
        }
    }
}

}  // namespace nib

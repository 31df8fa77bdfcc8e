// How much better an answer, or each of its tokens, turned out to be than was to be expected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nib {

/// What rewards are compared with, or divided by the deviation of: nothing, the answers to the same prompt, all of an
/// iteration or, of the deviation and PPO, those that the policy wrote before it learned anything.
enum class PolicyBaseline { None, Group, Batch, Start };

/// Mean and deviation of a sample (unbiased; 0 of a single value).
struct Moments {
    double mean = 0, deviation = 0;
};
Moments moments(std::span<const double> values);

/// (reward - mean) / (deviation + 1e-4), each of the group of so many answers in turn, of all, or left out (GRPO, Shao et
/// al. 2024; Dr. GRPO, Liu et al. 2025).
std::vector<double> compared_rewards(std::span<const double> rewards, int64_t group, PolicyBaseline mean,
                                     PolicyBaseline deviation);

/// What is known of an answer's tokens, in nats and units of reward.
struct ValuedTokens {
    std::span<const float> logp,
        reference;                  // log-probabilities by the policy and by the reference; the latter may be empty
    std::span<const float> values;  // of the value function before each token
    double reward = 0;              // of the whole, at the last token
};
struct GaeOptions {
    double kl = 0;        // each token costs this times logp - reference
    double discount = 1;  // gamma
    double lambda = 0.95;
};
/// Generalized advantage estimation (Schulman et al. 2016): with r[t] = -kl (logp[t] - reference[t]), plus the reward at
/// the last token, and V = 0 after it,
///   A[t] = sum over k of (discount lambda)^k (r[t+k] + discount V[t+k+1] - V[t+k])
/// and returns R[t] = A[t] + V[t].
struct TokenAdvantages {
    std::vector<float> advantages, returns;
};
TokenAdvantages token_advantages(const ValuedTokens& tokens, const GaeOptions& options);

/// Gives all of them together the mean 0 and the (unbiased) variance 1: (A - mean) / sqrt(variance + 1e-8).
void whiten(std::span<TokenAdvantages> all);

/// 1 - Var(returns - values) / Var(returns): 1 where a value function foretells all, 0 where it foretells as much as a
/// constant; 0 where all returns are equal.
double explained_variance(std::span<const double> returns, std::span<const double> values);

}  // namespace nib

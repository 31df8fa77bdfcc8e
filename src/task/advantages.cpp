#include "task/advantages.h"

#include <cmath>
#include <numeric>

namespace nib {

Moments moments(std::span<const double> values) {
    const auto n = static_cast<double>(values.size());
    Moments m;
    if (values.empty()) return m;
    m.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    for (const double value : values) m.deviation += (value - m.mean) * (value - m.mean);
    m.deviation = n > 1 ? std::sqrt(m.deviation / (n - 1)) : 0;
    return m;
}

std::vector<double> compared_rewards(std::span<const double> rewards, int64_t group, PolicyBaseline mean,
                                     PolicyBaseline deviation) {
    constexpr double kEpsilon = 1e-4;
    const Moments all = moments(rewards);
    std::vector<double> compared;
    for (size_t i = 0; i < rewards.size(); ++i) {
        const auto size = static_cast<size_t>(group);
        const Moments own = moments(rewards.subspan(i - i % size, size));
        const auto of = [&](PolicyBaseline which, double by_group, double by_batch, double otherwise) {
            return which == PolicyBaseline::Group ? by_group : which == PolicyBaseline::Batch ? by_batch : otherwise;
        };
        compared.push_back((rewards[i] - of(mean, own.mean, all.mean, 0)) /
                           of(deviation, own.deviation + kEpsilon, all.deviation + kEpsilon, 1));
    }
    return compared;
}

TokenAdvantages token_advantages(const ValuedTokens& tokens, const GaeOptions& options) {
    const size_t n = tokens.logp.size();
    TokenAdvantages made{std::vector<float>(n), std::vector<float>(n)};
    double after = 0;
    for (size_t t = n; t-- > 0;) {
        const auto value = static_cast<double>(tokens.values[t]);
        const double next = t + 1 < n ? static_cast<double>(tokens.values[t + 1]) : 0;
        double reward = t + 1 == n ? tokens.reward : 0;
        if (!tokens.reference.empty())
            reward -= options.kl * (static_cast<double>(tokens.logp[t]) - static_cast<double>(tokens.reference[t]));
        after = reward + options.discount * next - value + options.discount * options.lambda * after;
        made.advantages[t] = static_cast<float>(after);
        made.returns[t] = static_cast<float>(after + value);
    }
    return made;
}

void whiten(std::span<TokenAdvantages> all) {
    std::vector<double> values;
    for (const TokenAdvantages& one : all) values.insert(values.end(), one.advantages.begin(), one.advantages.end());
    const Moments m = moments(values);
    const double scale = 1 / std::sqrt(m.deviation * m.deviation + 1e-8);
    for (TokenAdvantages& one : all)
        for (float& value : one.advantages) value = static_cast<float>((static_cast<double>(value) - m.mean) * scale);
}

double explained_variance(std::span<const double> returns, std::span<const double> values) {
    std::vector<double> left;
    for (size_t i = 0; i < returns.size(); ++i) left.push_back(returns[i] - values[i]);
    const double all = moments(returns).deviation, unexplained = moments(left).deviation;
    return all > 0 ? 1 - unexplained * unexplained / (all * all) : 0;
}

}  // namespace nib

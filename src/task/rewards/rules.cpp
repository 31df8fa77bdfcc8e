// Rewards that need no model: a pattern, a length, a right answer.
#include <algorithm>
#include <cmath>
#include <functional>

#include "core/error.h"
#include "task/metrics/bleu.h"
#include "task/metrics/chrf.h"
#include "task/rewards/reward.h"
#include "text/regex.h"

namespace nib {
namespace {

class Rule : public Reward {
public:
    explicit Rule(std::function<double(const RewardText&)> rule) : rule_(std::move(rule)) {}
    std::vector<double> score(std::span<const RewardText> texts) override {
        std::vector<double> scores;
        for (const RewardText& text : texts) scores.push_back(rule_(text));
        return scores;
    }

private:
    const std::function<double(const RewardText&)> rule_;
};

std::string_view trimmed(std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

double bleu_of(const RewardText& text) {
    Bleu bleu({.effective_order = true});
    bleu.add(text.response, std::span(&text.reference, 1));
    return bleu.score().score / 100;
}

double chrf_of(const RewardText& text) {
    Chrf chrf;
    chrf.add(text.response, std::span(&text.reference, 1));
    return chrf.score() / 100;
}

}  // namespace

std::unique_ptr<Reward> make_regex_reward(const std::string& pattern) {
    return std::make_unique<Rule>([regex = std::make_shared<Regex>(pattern)](const RewardText& text) {
        Regex::Match match;
        return regex->find(text.response, 0, match) ? 1.0 : 0.0;
    });
}

std::unique_ptr<Reward> make_length_reward(int64_t length) {
    if (length < 1) fail("a length of %lld is none", static_cast<long long>(length));
    return std::make_unique<Rule>([length](const RewardText& text) {
        return -std::abs(static_cast<double>(text.tokens - length)) / static_cast<double>(length);
    });
}

std::unique_ptr<Reward> make_match_reward(const std::string& how) {
    const auto rule = [&]() -> std::function<double(const RewardText&)> {
        if (how == "exact")
            return [](const RewardText& text) { return trimmed(text.response) == trimmed(text.reference) ? 1.0 : 0.0; };
        if (how == "bleu") return bleu_of;
        if (how == "chrf") return chrf_of;
        fail_usage_option("reward-match", "is `%s`; choose exact, bleu or chrf", printable(how, 40).c_str());
    }();
    return std::make_unique<Rule>([rule](const RewardText& text) {
        if (text.reference.empty()) fail("`%s` has no answer to compare with", printable(text.prompt, 60).c_str());
        return rule(text);
    });
}

}  // namespace nib

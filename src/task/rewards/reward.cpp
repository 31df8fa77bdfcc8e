#include "task/rewards/reward.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "core/error.h"

namespace nib {
namespace {

class SumOfRewards : public Reward {
public:
    void add(std::unique_ptr<Reward> reward) { parts_.push_back(std::move(reward)); }

    // "1,0.5"
    void weigh(const std::string& text) {
        weights_.assign(parts_.size(), 1);
        if (text.empty()) return;
        weights_.clear();
        for (const char *at = text.data(), *const end = at + text.size(); at <= end; ++at) {
            double weight = 0;
            const auto read = std::from_chars(at, end, weight);
            if (read.ec != std::errc() || !std::isfinite(weight) || (read.ptr != end && *read.ptr != ','))
                fail_usage_option("reward-weights", "is `%s`; it must be numbers with commas between them",
                                  printable(text, 40).c_str());
            weights_.push_back(weight);
            at = read.ptr;
        }
        if (weights_.size() != parts_.size())
            fail_usage_option("reward-weights", "has %zu numbers, but there are %s", weights_.size(),
                              counted(std::ssize(parts_), "reward").c_str());
    }

    std::vector<double> score(std::span<const RewardText> texts) override {
        std::vector<double> sums(texts.size());
        for (size_t k = 0; k < parts_.size(); ++k) {
            const std::vector<double> scores = parts_[k]->score(texts);
            for (size_t i = 0; i < sums.size(); ++i) {
                if (!std::isfinite(scores.at(i)))
                    fail("the reward of `%s` is not a number", printable(texts[i].response, 60).c_str());
                sums[i] += weights_[k] * scores[i];
            }
        }
        return sums;
    }

    bool empty() const { return parts_.empty(); }

private:
    std::vector<std::unique_ptr<Reward>> parts_;
    std::vector<double> weights_;
};

}  // namespace

std::unique_ptr<Reward> make_reward(const RewardOptions& o, Backend& backend) {
    auto sum = std::make_unique<SumOfRewards>();
    if (!o.model.empty()) sum->add(make_model_reward(o.model, backend));
    if (!o.command.empty()) sum->add(make_command_reward(o.command, o.command_timeout));
    if (!o.regex.empty()) sum->add(make_regex_reward(o.regex));
    if (o.length > 0) sum->add(make_length_reward(o.length));
    if (!o.match.empty()) sum->add(make_match_reward(o.match));
    if (sum->empty()) fail_usage_option("reward", "is missing: nothing says what a text is worth");
    sum->weigh(o.weights);
    return sum;
}

}  // namespace nib

// Reinforcement learning: a policy writes answers to prompts, rewards judge them, and what was better than expected
// becomes more probable. PPO (Schulman et al. 2017) as Ouyang et al. 2022 use it, GRPO (Shao et al. 2024; the
// normalisations of DAPO, Yu et al. 2025, and Dr. GRPO, Liu et al. 2025) and REINFORCE (Williams 1992).
//
// An iteration is `rollouts` answers, `group` to each prompt, and as many updates as it takes to learn from all of them
// `epochs` times. A checkpoint is taken between iterations only, so that a resumed run needs nothing of them.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "task/examples.h"
#include "task/policy_answers.h"
#include "task/task.h"

namespace nib {
namespace {

constexpr uint32_t kValidation = 0x80000000;  // numbers of answers that validate begin here
constexpr size_t kSamples = 5;

class PolicyTask : public Task {
public:
    explicit PolicyTask(const TaskTexts& texts)
        : texts_(texts),
          train_(documents_within(writer_.train(), texts.train_span)),
          validation_(documents_within(writer_.validation(), texts.validation_span)),
          validated_(texts, "prompt", train_.count, validation_.count) {}

    TaskExtent extent() const override { return {"prompt", train_.count, validation_.count}; }
    bool ragged() const override { return true; }
    bool may_save(int64_t step) const override { return step % updates() == 0; }
    TargetCounts counted(uint32_t, uint32_t) const override { return {1, texts_.beside != nullptr ? texts_.context : 0}; }

    // What the iteration begins with that a checkpoint is taken before.
    std::vector<double> kept(int64_t step) const override {
        return {step / updates() == iteration_ ? kl_ : next_kl_, start_.mean, start_.deviation};
    }
    void recall(std::span<const double> values) override {
        if (values.size() != 3 || !std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }))
            fail("what it knows of the policy is damaged");
        kl_ = values[0];
        start_ = {values[1], values[2]};
    }

    // Nothing changes before all has gone well, so that what was learned until then can still be saved.
    void begin_step(uint32_t step, const TaskModel& model) override {
        const int64_t iteration = step / updates();
        if (iteration == iteration_) return;
        if (step % updates() != 0) fail("the training of a policy goes on between two iterations only");
        std::vector<int64_t> prompts;
        const int64_t each = policy_.rollouts / policy_.group;
        for (int64_t p = 0; p < each; ++p) {
            const auto n = static_cast<uint64_t>(iteration * each + p);
            prompts.insert(prompts.end(), static_cast<size_t>(policy_.group),
                           train_.first + shuffled(texts_.seed, n, train_.count));
        }
        const auto first = static_cast<uint32_t>(static_cast<uint64_t>(iteration * policy_.rollouts) % kValidation);
        std::vector<PolicyAnswer> answers = writer_.write(model, writer_.train(), prompts, first);
        const std::optional<double> difference = writer_.recompute(model, answers);
        double divergence = 0;
        if (is_compared()) {
            writer_.ask_reference(model, answers);
            divergence = divergence_of(answers);
        }
        if (policy_.kind == PolicyKind::Ppo) writer_.ask_values(model, answers);
        if (iteration_ >= 0) kl_ = next_kl_;
        next_kl_ = adapted(kl_, divergence);
        iteration_ = iteration;
        answers_ = std::move(answers);
        tokens_per_second_ = writer_.tokens_per_second();
        difference_ = difference, divergence_ = divergence;
        set_advantages();
    }

    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        const auto number = static_cast<size_t>(number_of(step, row));
        const PolicyAnswer& answer = answers_[number];
        const std::vector<int32_t> prompt = writer_.prompt_ids(writer_.train(), answer.document);
        const std::vector<int32_t>& text = answer.text.ids;
        if (prompt.size() + text.size() > to.ids.size() + 1) fail("an answer does not fit into its row");
        std::fill(to.ids.begin(), to.ids.end(), 0);
        std::fill(to.targets.begin(), to.targets.end(), kIgnore);
        std::copy(prompt.begin(), prompt.end(), to.ids.begin());
        std::copy(text.begin(), text.end() - 1, to.ids.begin() + std::ssize(prompt));
        to.length = static_cast<int32_t>(prompt.size() + text.size() - 1);
        const size_t begin = prompt.size() - 1;
        std::copy(text.begin(), text.end(), to.targets.begin() + static_cast<std::ptrdiff_t>(begin));
        const auto put = [&](std::span<float> values, const std::vector<float>& of_answer) {
            const auto at = values.begin() + static_cast<std::ptrdiff_t>(begin);
            if (of_answer.empty())
                std::fill_n(at, text.size(), 0.0f);
            else
                std::copy(of_answer.begin(), of_answer.end(), at);
        };
        std::fill_n(to.policy.weights.begin() + static_cast<std::ptrdiff_t>(begin), text.size(),
                    static_cast<float>(weight_of(step, text.size())));
        put(to.policy.advantages, advantages_[number].advantages);
        put(to.policy.returns, advantages_[number].returns);
        put(to.policy.old, answer.text.logp);
        put(to.policy.reference, answer.reference);
        put(to.policy.old_values, answer.values);
        if (texts_.beside != nullptr) add_text(step, row, to);
    }

    std::vector<Score> step_scores(int64_t step) const override {
        if (step % updates() != 0 || answers_.empty()) return {};
        std::vector<double> rewards, returns, values;
        double tokens = 0, ended = 0, logp = 0;
        for (size_t i = 0; i < answers_.size(); ++i) {
            const PolicyAnswer& answer = answers_[i];
            rewards.push_back(answer.reward);
            tokens += static_cast<double>(answer.text.ids.size());
            ended += answer.text.ended;
            for (const float one : answer.text.logp) logp += static_cast<double>(one);
            returns.insert(returns.end(), advantages_[i].returns.begin(), advantages_[i].returns.end());
            values.insert(values.end(), answer.values.begin(), answer.values.end());
        }
        const auto n = static_cast<double>(answers_.size());
        const Moments m = moments(rewards);
        std::vector<Score> all = {
            {"reward", m.mean}
        };
        if (is_compared()) all.push_back({"kl", divergence_});
        all.push_back({"length", tokens / n});
        all.push_back({"entropy", -logp / tokens});
        if (policy_.kind == PolicyKind::Ppo) all.push_back({"explained_variance", explained_variance(returns, values)});
        if (policy_.kl_target > 0) all.push_back({"kl_weight", kl_});
        all.push_back({"ended", ended / n});
        all.push_back({"reward_std", m.deviation});
        all.push_back({"tok_s", tokens_per_second_});
        if (difference_) all.push_back({"logp_difference", *difference_});
        return all;
    }

    int64_t validation_rows() const override { return 0; }
    void fill_validation(int64_t, TaskRow&) const override {}
    std::optional<std::vector<Score>> validate(const TaskModel& model) override {
        std::vector<int64_t> prompts;
        for (int64_t i = 0; i < validated_.count(); ++i) prompts.push_back(validation_.first + validated_.number(i));
        if (prompts.empty()) return std::nullopt;
        std::vector<double> rewards;
        double tokens = 0;
        samples_.clear();
        for (PolicyAnswer& answer : writer_.write(model, writer_.validation(), prompts, kValidation)) {
            rewards.push_back(answer.reward);
            tokens += static_cast<double>(answer.text.ids.size());
            if (samples_.size() < kSamples)
                samples_.push_back(
                    {writer_.validation().words(answer.document).prompt, std::move(answer.words), answer.reward});
        }
        const Moments m = moments(rewards);
        return std::vector<Score>{
            {"reward", m.mean                                      },
            {"length", tokens / static_cast<double>(rewards.size())},
        };
    }
    std::vector<Sample> samples() const override { return samples_; }

private:
    int64_t updates() const { return policy_.updates(texts_.rows); }

    // Whether the policy is compared with the model that the training started from.
    bool is_compared() const { return policy_.loss.kl > 0 || policy_.gae.kl > 0; }

    // The answer in a row of an update: in each epoch every one once.
    int64_t number_of(uint32_t step, uint32_t row) const {
        const auto n = static_cast<uint64_t>(step) * static_cast<uint64_t>(texts_.rows) + row;
        return shuffled(texts_.seed, n, policy_.rollouts);
    }

    // A stretch of the text beside, behind the answer.
    void add_text(uint32_t step, uint32_t row, TaskRow& to) const {
        const auto n = static_cast<uint64_t>(step) * static_cast<uint64_t>(texts_.rows) + row;
        const int64_t T = texts_.context, stretches = (texts_.beside->size() - 1) / T;
        std::vector<int32_t> ids(static_cast<size_t>(T) + 1);
        texts_.beside->read(shuffled(texts_.seed, n, stretches) * T, ids);
        const auto begin = static_cast<std::ptrdiff_t>(to.length);
        std::copy(ids.begin(), ids.end() - 1, to.ids.begin() + begin);
        std::copy(ids.begin() + 1, ids.end(), to.second.begin() + begin);
        std::iota(to.positions.begin() + begin, to.positions.begin() + begin + T, 0);
        to.length += static_cast<int32_t>(T);
    }

    // How much each token of an answer counts, so that the loss is the sum over all tokens of an update.
    double weight_of(uint32_t step, size_t tokens) const {
        const auto rows = static_cast<double>(texts_.rows);
        switch (policy_.norm) {
            case PolicyNorm::Text: return 1 / (rows * static_cast<double>(tokens));
            case PolicyNorm::Longest: return 1 / (rows * static_cast<double>(policy_.longest));
            case PolicyNorm::Sum: return 1 / rows;
            case PolicyNorm::Tokens: break;
        }
        size_t all = 0;
        for (uint32_t row = 0; row < texts_.rows; ++row)
            all += answers_[static_cast<size_t>(number_of(step, row))].text.ids.size();
        return 1 / static_cast<double>(all);
    }

    // How far the policy has come, in nats of an answer.
    double divergence_of(const std::vector<PolicyAnswer>& answers) const {
        double divergence = 0;
        for (const PolicyAnswer& answer : answers)
            for (size_t t = 0; t < answer.text.logp.size(); ++t)
                divergence += static_cast<double>(answer.text.logp[t]) - static_cast<double>(answer.reference[t]);
        divergence /= static_cast<double>(answers.size());
        if (policy_.kl_limit > 0 && !(divergence <= policy_.kl_limit))
            fail(
                "an answer of the policy is %.1f nats from the model that it started from, and the limit is %g; try a "
                "lower "
                "learning rate, or let the divergence cost more",
                divergence, policy_.kl_limit);
        return divergence;
    }

    // What the divergence costs in the next iteration (Ziegler et al. 2019, section 2.2).
    double adapted(double kl, double divergence) const {
        constexpr double kGain = 0.1, kMostError = 0.2;
        if (policy_.kl_target <= 0) return kl;
        return kl * (1 + kGain * std::clamp(divergence / policy_.kl_target - 1, -kMostError, kMostError));
    }

    // What an answer is worth to the policy: its reward as the options change it.
    std::vector<double> rewards() {
        std::vector<double> all;
        for (const PolicyAnswer& answer : answers_) all.push_back(answer.reward);
        if (policy_.scale == PolicyBaseline::Start) {
            if (!(start_.deviation > 0)) start_ = moments(all);
            // Rewards that differ by rounding alone say nothing of how far apart others will be: the next ones decide.
            if (start_.deviation < 1e-6 * std::abs(start_.mean)) start_.deviation = 0;
            for (double& reward : all)
                reward = (reward - start_.mean) / (start_.deviation > 0 ? start_.deviation + 1e-4 : 1);
        }
        for (size_t i = 0; i < all.size(); ++i) {
            if (policy_.reward_clip > 0) all[i] = std::clamp(all[i], -policy_.reward_clip, policy_.reward_clip);
            if (!answers_[i].text.ended) all[i] -= policy_.missing_end;
        }
        return all;
    }

    void set_advantages() {
        const std::vector<double> compared = compared_rewards(rewards(), policy_.group, policy_.baseline, policy_.scale);
        advantages_.clear();
        GaeOptions how = policy_.gae;
        how.kl = kl_;
        for (size_t i = 0; i < answers_.size(); ++i) {
            const PolicyAnswer& answer = answers_[i];
            if (policy_.kind == PolicyKind::Ppo)
                advantages_.push_back(
                    token_advantages({answer.text.logp, answer.reference, answer.values, compared[i]}, how));
            else
                advantages_.push_back({std::vector<float>(answer.text.ids.size(), static_cast<float>(compared[i])), {}});
        }
        if (policy_.kind == PolicyKind::Ppo) whiten(advantages_);
    }

    const TaskTexts texts_;
    const PolicyChoices& policy_ = texts_.choices.policy;
    PolicyAnswers writer_{texts_};
    const DocumentRange train_, validation_;
    const EvalExamples validated_;
    std::vector<PolicyAnswer> answers_;        // of the iteration
    std::vector<TokenAdvantages> advantages_;  // of them
    std::vector<Sample> samples_;
    int64_t iteration_ = -1;
    double kl_ = policy_.gae.kl, next_kl_ = kl_;  // weights of the divergence: in this iteration, and in the next
    double tokens_per_second_ = 0;                // of the iteration's answers
    double divergence_ = 0;                       // of the iteration
    std::optional<double> difference_;            // PolicyAnswers::recompute()
    Moments start_;                               // of the first iteration's rewards
};

}  // namespace

std::unique_ptr<Task> make_policy_task(const TaskTexts& texts) { return std::make_unique<PolicyTask>(texts); }

}  // namespace nib

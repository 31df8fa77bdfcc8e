// Reinforcement learning: a policy writes answers to prompts, rewards judge them, and what was better than the others
// becomes more probable. GRPO (Shao et al. 2024; the normalisations of DAPO, Yu et al. 2025, and Dr. GRPO, Liu et al. 2025)
// and REINFORCE (Williams 1992).
//
// An iteration is `rollouts` answers, `group` to each prompt, and as many updates as it takes to learn from all of them
// `epochs` times. A checkpoint is taken between iterations only, so that a resumed run needs nothing of them.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "core/error.h"
#include "infer/encoder.h"
#include "infer/rollout.h"
#include "task/examples.h"
#include "task/prompt_text.h"
#include "task/task.h"

namespace nib {
namespace {

const PromptText& prompts_of(const TokenText& text) {
    const auto* prompts = dynamic_cast<const PromptText*>(&text);
    if (prompts == nullptr) fail("the texts are no prompts");
    return *prompts;
}

constexpr int64_t kMostSlots = 64;            // texts that are written at the same time
constexpr uint32_t kValidation = 0x80000000;  // numbers of texts that validate begin here

// An answer and what is learned from it.
struct Answer {
    int64_t prompt = 0;
    Rollout text;
    double reward = 0, advantage = 0;
    std::vector<float> reference;  // log-probabilities by the reference; none where they do not count
};

struct Moments {
    double mean = 0, deviation = 0;  // of a sample
};
Moments moments(std::span<const double> values) {
    const auto n = static_cast<double>(values.size());
    Moments m;
    m.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    for (const double value : values) m.deviation += (value - m.mean) * (value - m.mean);
    m.deviation = n > 1 ? std::sqrt(m.deviation / (n - 1)) : 0;
    return m;
}

class PolicyTask : public Task {
public:
    explicit PolicyTask(const TaskTexts& texts)
        : texts_(texts),
          train_(documents_within(prompts_of(texts.train), texts.train_span)),
          validation_(documents_within(prompts_of(texts.validation), texts.validation_span)),
          validated_(texts, "prompt", train_.count, validation_.count) {}

    TaskExtent extent() const override { return {"prompt", train_.count, validation_.count}; }
    bool ragged() const override { return true; }
    bool may_save(int64_t step) const override { return step % updates() == 0; }
    TargetCounts counted(uint32_t, uint32_t) const override { return {1}; }

    void begin_step(uint32_t step, const TaskModel& model) override {
        const int64_t iteration = step / updates();
        if (step % updates() != 0 || iteration == iteration_) return;
        iteration_ = iteration;
        std::vector<int64_t> prompts;
        const int64_t each = policy_.rollouts / policy_.group;
        for (int64_t p = 0; p < each; ++p) {
            const auto n = static_cast<uint64_t>(iteration * each + p);
            prompts.insert(prompts.end(), static_cast<size_t>(policy_.group), shuffled(texts_.seed, n, train_.count));
        }
        const auto first = static_cast<uint32_t>(static_cast<uint64_t>(iteration * policy_.rollouts) % kValidation);
        answers_ = write(model, prompts_of(texts_.train), train_.first, prompts, first);
        set_advantages();
        if (policy_.loss.kl > 0) ask_reference(model);
    }

    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        const Answer& answer = answers_[static_cast<size_t>(number(step, row))];
        const std::vector<int32_t> prompt = ids_of(prompts_of(texts_.train), train_.first + answer.prompt);
        const std::vector<int32_t>& text = answer.text.ids;
        if (prompt.size() + text.size() > to.ids.size() + 1) fail("an answer does not fit into its row");
        std::fill(to.ids.begin(), to.ids.end(), 0);
        std::fill(to.targets.begin(), to.targets.end(), kIgnore);
        std::copy(prompt.begin(), prompt.end(), to.ids.begin());
        std::copy(text.begin(), text.end() - 1, to.ids.begin() + std::ssize(prompt));
        to.length = static_cast<int32_t>(prompt.size() + text.size() - 1);
        const auto weight = static_cast<float>(weight_of(step, text.size()));
        for (size_t t = 0; t < text.size(); ++t) {
            const size_t at = prompt.size() - 1 + t;
            to.targets[at] = text[t];
            to.policy.advantages[at] = static_cast<float>(answer.advantage);
            to.policy.weights[at] = weight;
            to.policy.old[at] = answer.text.logp[t];
            to.policy.reference[at] = answer.reference.empty() ? 0 : answer.reference[t];
        }
    }

    std::vector<Score> step_scores(int64_t step) const override {
        if (step % updates() != 0 || answers_.empty()) return {};
        std::vector<double> rewards;
        double tokens = 0, ended = 0, logp = 0, kl = 0;
        for (const Answer& answer : answers_) {
            rewards.push_back(answer.reward);
            tokens += static_cast<double>(answer.text.ids.size());
            ended += answer.text.ended;
            for (size_t t = 0; t < answer.text.ids.size(); ++t) {
                logp += static_cast<double>(answer.text.logp[t]);
                if (!answer.reference.empty())
                    kl += static_cast<double>(answer.text.logp[t]) - static_cast<double>(answer.reference[t]);
            }
        }
        const auto n = static_cast<double>(answers_.size());
        const Moments m = moments(rewards);
        std::vector<Score> all = {
            {"reward",     m.mean        },
            {"reward_std", m.deviation   },
            {"length",     tokens / n    },
            {"ended",      ended / n     },
            {"entropy",    -logp / tokens},
        };
        if (policy_.loss.kl > 0) all.push_back({"kl", kl / n});  // of a text, in nats
        return all;
    }

    int64_t validation_rows() const override { return 0; }
    void fill_validation(int64_t, TaskRow&) const override {}
    std::optional<std::vector<Score>> validate(const TaskModel& model) override {
        std::vector<int64_t> prompts;
        for (int64_t i = 0; i < validated_.count(); ++i) prompts.push_back(validated_.number(i));
        if (prompts.empty()) return std::nullopt;
        std::vector<double> rewards;
        double tokens = 0;
        for (const Answer& answer : write(model, prompts_of(texts_.validation), validation_.first, prompts, kValidation)) {
            rewards.push_back(answer.reward);
            tokens += static_cast<double>(answer.text.ids.size());
        }
        const Moments m = moments(rewards);
        return std::vector<Score>{
            {"reward", m.mean                                      },
            {"length", tokens / static_cast<double>(rewards.size())},
        };
    }

private:
    int64_t updates() const { return policy_.epochs * (policy_.rollouts / texts_.rows); }

    static std::vector<int32_t> ids_of(const PromptText& text, int64_t document) {
        const Span span = text.document(document);
        std::vector<int32_t> ids(static_cast<size_t>(span.size()));
        text.read(span.begin, ids);
        return ids;
    }

    // The answer in a row of an update: in each epoch every one once.
    int64_t number(uint32_t step, uint32_t row) const {
        const auto n = static_cast<uint64_t>(step) * static_cast<uint64_t>(texts_.rows) + row;
        return shuffled(texts_.seed, n, policy_.rollouts);
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
            all += answers_[static_cast<size_t>(number(step, row))].text.ids.size();
        return 1 / static_cast<double>(all);
    }

    std::vector<Answer> write(const TaskModel& model, const PromptText& text, int64_t first_document,
                              const std::vector<int64_t>& numbers, uint32_t first) {
        if (!reward_) reward_ = make_reward(policy_.reward, model.backend);
        const Tokenizer& tokenizer = texts_.tokenizer;
        if (!engine_)
            engine_ = std::make_unique<Engine>(
                model.backend, model.config, model.weights,
                EngineOptions{.slots = std::min(kMostSlots, std::max(policy_.rollouts, validated_.count())),
                              .context = std::min(model.config.context, texts_.context)});
        std::vector<std::vector<int32_t>> prompts;
        for (const int64_t number : numbers) prompts.push_back(ids_of(text, first_document + number));
        RolloutOptions how{.longest = policy_.longest, .seed = texts_.seed, .first = first};
        how.ends = policy_.ends;
        if (model.progress) how.progress = [&](int64_t done) { model.progress("writing", done, std::ssize(numbers)); };
        std::vector<Rollout> written = roll_out(*engine_, tokenizer, prompts, how);
        std::vector<RewardText> judged;
        for (size_t i = 0; i < written.size(); ++i) {
            const PromptWords& words = text.words(first_document + numbers[i]);
            const std::span<const int32_t> ids(written[i].ids);
            judged.push_back({words.prompt, tokenizer.decode(ids.first(ids.size() - written[i].ended)), words.reference,
                              std::ssize(ids) - written[i].ended});
        }
        const std::vector<double> rewards = reward_->score(judged);
        std::vector<Answer> answers(written.size());
        for (size_t i = 0; i < answers.size(); ++i) {
            answers[i].prompt = numbers[i];
            answers[i].text = std::move(written[i]);
            answers[i].reward = rewards[i];
        }
        return answers;
    }

    // GRPO: rewards compared with those of the same group. REINFORCE: with the mean of all answers, or with nothing.
    void set_advantages() {
        constexpr double kEpsilon = 1e-4;
        std::vector<double> rewards;
        for (const Answer& answer : answers_) rewards.push_back(answer.reward);
        const Moments all = moments(rewards);
        for (size_t i = 0; i < answers_.size(); ++i) {
            const size_t begin = i - i % static_cast<size_t>(policy_.group);
            const Moments group = moments(std::span(rewards).subspan(begin, static_cast<size_t>(policy_.group)));
            const double baseline = policy_.baseline == PolicyBaseline::None    ? 0
                                    : policy_.baseline == PolicyBaseline::Batch ? all.mean
                                                                                : group.mean;
            const double scale = policy_.scale == PolicyBaseline::None    ? 1
                                 : policy_.scale == PolicyBaseline::Batch ? all.deviation + kEpsilon
                                                                          : group.deviation + kEpsilon;
            answers_[i].advantage = (rewards[i] - baseline) / scale;
        }
    }

    void ask_reference(const TaskModel& model) {
        if (model.reference == nullptr) fail("there is no model to compare the policy with");
        if (!encoder_) encoder_ = std::make_unique<SequenceEncoder>(model.backend, model.config, *model.reference);
        std::vector<TextTokens> texts;
        std::vector<TokenPlace> places;
        for (const Answer& answer : answers_) {
            TextTokens text{ids_of(prompts_of(texts_.train), train_.first + answer.prompt), {}};
            for (const int32_t id : answer.text.ids) {
                places.push_back({texts.size(), std::ssize(text.ids)});
                text.ids.push_back(id);
            }
            texts.push_back(std::move(text));
        }
        const std::vector<float> logp = encoder_->log_probs(texts, places);
        for (size_t k = 0; k < places.size(); ++k) answers_[places[k].text].reference.push_back(logp[k]);
    }

    const TaskTexts texts_;
    const PolicyChoices& policy_ = texts_.choices.policy;
    const DocumentRange train_, validation_;
    const EvalExamples validated_;
    std::unique_ptr<Reward> reward_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<SequenceEncoder> encoder_;  // of the reference
    std::vector<Answer> answers_;               // of the iteration
    int64_t iteration_ = -1;
};

}  // namespace

std::unique_ptr<Task> make_policy_task(const TaskTexts& texts) { return std::make_unique<PolicyTask>(texts); }

}  // namespace nib

// The reward of a model that scores texts or names them.
#include <algorithm>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "infer/encoder.h"
#include "infer/probabilities.h"
#include "model/loaded_model.h"
#include "task/answered.h"
#include "task/rewards/reward.h"
#include "text/chat_template.h"

namespace nib {
namespace {

class ModelReward : public Reward {
public:
    ModelReward(const std::string& file, const std::string& label, Backend& backend)
        : model_(file, backend), encoder_(backend, model_.config(), model_.weights()) {
        const HeadConfig* const head = model_.config().find_head("class");
        if (head == nullptr) model_.file().wrong("is no reward: it neither scores texts nor names them");
        several_ = head->multi_label;
        if (head->outputs == 1 && !several_ && !label.empty())
            model_.file().wrong("says a number of a text, and has no label `" + printable(label, 40) + "`");
        if (head->outputs > 1 || several_) label_ = number_of(*head, label);
        if (const std::string jinja = model_.chat_template(); !jinja.empty())
            template_ = ChatTemplate::recognize(jinja, model_.tokenizer());
    }

    std::vector<double> score(std::span<const RewardText> texts) override {
        std::vector<TextTokens> tokens;
        for (const RewardText& text : texts) tokens.push_back(tokens_of(text));
        const Head& head = encoder_.model().head("class");
        const std::vector<float> logits = encoder_.logits("class", tokens, SequenceEncoder::places_of(head, tokens));
        const auto N = static_cast<size_t>(head.outputs);
        std::vector<double> scores;
        for (size_t i = 0; i < texts.size(); ++i) {
            const auto all = std::span(logits).subspan(i * N, N);
            const auto chosen = static_cast<double>(all[label_.value_or(0)]);
            scores.push_back(!label_    ? chosen
                             : several_ ? 1 / (1 + std::exp(-chosen))
                                        : std::exp(chosen - log_sum_exp(all)));
        }
        return scores;
    }

private:
    size_t number_of(const HeadConfig& head, const std::string& label) const {
        std::string names;
        for (size_t i = 0; i < head.labels.size(); ++i) {
            if (head.labels[i] == label) return i;
            names += (i > 0 ? ", " : "") + printable(head.labels[i], 40);
        }
        model_.file().wrong((label.empty() ? "needs a label" : "has no label `" + printable(label, 40) + "`") +
                            "; it has " + names);
    }

    // A dialogue where the model has a template, and else a text; of too long ones the end.
    TextTokens tokens_of(const RewardText& text) const {
        Answered answered{{}, true};
        if (template_)
            answered.messages = {
                {"user",      text.prompt  },
                {"assistant", text.response}
            };
        else
            answered.messages = {
                {"assistant", text.prompt + text.response}
            };
        AnsweredTokens tokens = encode_answered(model_.tokenizer(), template_ ? &*template_ : nullptr, answered, SIZE_MAX);
        const auto room = static_cast<size_t>(model_.config().context);
        if (tokens.ids.size() > room) {
            const auto surplus = static_cast<std::ptrdiff_t>(tokens.ids.size() - room);
            tokens.ids.erase(tokens.ids.begin(), tokens.ids.begin() + surplus);
            tokens.types.erase(tokens.types.begin(), tokens.types.begin() + surplus);
        }
        return {std::move(tokens.ids), std::move(tokens.types)};
    }

    LoadedModel model_;
    SequenceEncoder encoder_;
    bool several_ = false;         // labels have probabilities of their own
    std::optional<size_t> label_;  // whose probability is the reward; none: the number is
    std::optional<ChatTemplate> template_;
};

}  // namespace

std::string reward_file(const RewardOptions& options) {
    const size_t colon = options.model.rfind(".gguf:");
    return colon == std::string::npos ? options.model : options.model.substr(0, colon + 5);
}

std::unique_ptr<Reward> make_model_reward(const std::string& file_and_label, Backend& backend) {
    const std::string file = reward_file({.model = file_and_label});
    const bool has_label = file.size() < file_and_label.size();
    return std::make_unique<ModelReward>(file, has_label ? file_and_label.substr(file.size() + 1) : "", backend);
}

}  // namespace nib

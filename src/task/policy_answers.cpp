#include "task/policy_answers.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "task/examples.h"

namespace nib {
namespace {

constexpr int64_t kMostSlots = 64;  // texts that are written at the same time

const PromptText& prompts_of(const TokenText& text) {
    const auto* prompts = dynamic_cast<const PromptText*>(&text);
    if (prompts == nullptr) fail("the texts are no prompts");
    return *prompts;
}

bool in_blocks(const Weights& weights) {
    return std::any_of(weights.all().begin(), weights.all().end(),
                       [](const Weight& w) { return dtype_info(w.type)->block_size > 1; });
}

// Tokens in a pass of answers that are only looked at: no more than an update has, so that it takes no more memory.
int64_t pass_rows(const TaskTexts& texts) {
    return std::max(texts.context, std::min<int64_t>(512, texts.rows * texts.context));
}

std::vector<float> floats_of(Backend& backend, const Weight& weight) {
    std::vector<float> values(static_cast<size_t>(weight.shape.elements()));
    backend.download(weight.value, std::as_writable_bytes(std::span(values)));
    return values;
}

}  // namespace

EngineOptions answer_engine(const ModelConfig& config, const TaskTexts& texts) {
    const int64_t validated = documents_within(texts.validation, texts.validation_span).count;
    return {.slots = std::min(kMostSlots, std::max(texts.choices.policy.rollouts, validated)),
            .context = std::min(config.context, texts.context)};
}

const PromptText& PolicyAnswers::train() const { return prompts_of(texts_.train); }
const PromptText& PolicyAnswers::validation() const { return prompts_of(texts_.validation); }

std::vector<int32_t> PolicyAnswers::prompt_ids(const PromptText& prompts, int64_t document) const {
    const Span span = prompts.document(document);
    std::vector<int32_t> ids(static_cast<size_t>(span.size()));
    prompts.read(span.begin, ids);
    return ids;
}

std::vector<PolicyAnswer> PolicyAnswers::write(const TaskModel& model, const PromptText& prompts,
                                               const std::vector<int64_t>& documents, uint32_t first) {
    const PolicyChoices& how = texts_.choices.policy;
    if (!reward_) reward_ = make_reward(how.reward, model.backend);
    if (!engine_)
        engine_ = std::make_unique<Engine>(model.backend, model.config, model.weights, answer_engine(model.config, texts_));
    std::vector<std::vector<int32_t>> ids;
    for (const int64_t document : documents) ids.push_back(prompt_ids(prompts, document));
    RolloutOptions options{.longest = how.longest, .seed = texts_.seed, .first = first};
    options.ends = how.ends;
    if (model.progress) options.progress = [&](int64_t done) { model.progress("writing", done, std::ssize(documents)); };
    const Tokenizer& tokenizer = texts_.tokenizer;
    const auto begin = std::chrono::steady_clock::now();
    std::vector<Rollout> written = roll_out(*engine_, tokenizer, ids, options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    double tokens = 0;
    for (const Rollout& one : written) tokens += static_cast<double>(one.ids.size());
    tokens_per_second_ = tokens / std::max(took.count(), 1e-9);
    std::vector<RewardText> judged;
    for (size_t i = 0; i < written.size(); ++i) {
        const PromptWords& words = prompts.words(documents[i]);
        const auto said = std::span<const int32_t>(written[i].ids).first(written[i].ids.size() - written[i].ended);
        judged.push_back({words.prompt, tokenizer.decode(said), words.reference, std::ssize(said)});
    }
    const std::vector<double> rewards = reward_->score(judged);
    std::vector<PolicyAnswer> answers(written.size());
    for (size_t i = 0; i < answers.size(); ++i) {
        answers[i].document = documents[i];
        answers[i].text = std::move(written[i]);
        answers[i].reward = rewards[i];
        answers[i].words = std::move(judged[i].response);
    }
    return answers;
}

// A prompt of the training and its answer.
TextTokens PolicyAnswers::whole(const PolicyAnswer& answer) const {
    TextTokens text{prompt_ids(train(), answer.document), {}};
    text.ids.insert(text.ids.end(), answer.text.ids.begin(), answer.text.ids.end());
    return text;
}

std::vector<float> PolicyAnswers::log_probs(SequenceEncoder& encoder, const std::vector<PolicyAnswer>& answers) const {
    std::vector<TextTokens> texts;
    std::vector<TokenPlace> places;
    for (const PolicyAnswer& answer : answers) {
        texts.push_back(whole(answer));
        const int64_t end = std::ssize(texts.back().ids), begin = end - std::ssize(answer.text.ids);
        for (int64_t t = begin; t < end; ++t) places.push_back({texts.size() - 1, t});
    }
    return encoder.log_probs(texts, places);
}

void PolicyAnswers::ask_reference(const TaskModel& model, std::vector<PolicyAnswer>& answers) {
    if (model.reference == nullptr) fail("there is no model to compare the policy with");
    if (!reference_)
        reference_ = std::make_unique<SequenceEncoder>(model.backend, model.config, *model.reference, pass_rows(texts_));
    const std::vector<float> logp = log_probs(*reference_, answers);
    auto at = logp.begin();
    for (PolicyAnswer& answer : answers) {
        answer.reference.assign(at, at + std::ssize(answer.text.ids));
        at += std::ssize(answer.text.ids);
    }
}

SequenceEncoder& PolicyAnswers::policy(const TaskModel& model) {
    if (!policy_)
        policy_ = std::make_unique<SequenceEncoder>(model.backend, model.config, model.weights, pass_rows(texts_));
    return *policy_;
}

void PolicyAnswers::ask_values(const TaskModel& model, std::vector<PolicyAnswer>& answers) {
    const LinearWeights& head = model.weights.value_head();
    const std::vector<float> w = floats_of(model.backend, head.w), b = floats_of(model.backend, head.b);
    std::vector<TextTokens> texts;
    for (const PolicyAnswer& answer : answers) texts.push_back(whole(answer));
    policy(model).hidden(texts, [&](size_t i, std::span<const float> rows) {
        const size_t count = answers[i].text.ids.size(), begin = texts[i].ids.size() - count;
        answers[i].values.clear();
        for (size_t t = begin; t < begin + count; ++t) {
            double value = static_cast<double>(b[0]);
            for (size_t c = 0; c < w.size(); ++c)
                value += static_cast<double>(rows[(t - 1) * w.size() + c]) * static_cast<double>(w[c]);
            answers[i].values.push_back(static_cast<float>(value));
        }
    });
}

std::optional<double> PolicyAnswers::recompute(const TaskModel& model, std::vector<PolicyAnswer>& answers) {
    if (!in_blocks(model.weights)) return std::nullopt;
    const std::vector<float> logp = log_probs(policy(model), answers);
    double difference = 0;
    size_t k = 0;
    for (PolicyAnswer& answer : answers)
        for (float& old : answer.text.logp) {
            difference += std::abs(static_cast<double>(logp[k]) - static_cast<double>(old));
            old = logp[k++];
        }
    return difference / static_cast<double>(std::max<size_t>(k, 1));
}

}  // namespace nib

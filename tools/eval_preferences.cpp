#include "eval_preferences.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "eval_labels.h"
#include "infer/encoder.h"
#include "io/progress.h"
#include "options.h"
#include "task/preference_file.h"
#include "task/preference_scores.h"
#include "text/chat_template.h"
#include "texts.h"

namespace nib {
namespace {

constexpr size_t kTogether = 64;  // pairs, so that their tokens stay few

std::vector<LabelledExample> read_pairs(const PreferenceData& data, const LoadedModel& model,
                                        const std::function<void(const std::string&)>& note) {
    std::optional<ChatTemplate> chat_template;
    if (const std::string jinja = model.chat_template(); !jinja.empty())
        chat_template = ChatTemplate::recognize(jinja, model.tokenizer());
    std::vector<std::string> labels;
    return read_preferences(data.paths, model.tokenizer(),
                            {.columns = {},
                             .context = model.config().context,
                             .skip_bad = data.skip_bad,
                             .note = note,
                             .chat_template = chat_template ? &*chat_template : nullptr},
                            labels);
}

std::vector<LabelledExample> read_pairs(const PreferenceData& data, const LoadedModel& model) {
    return read_pairs(data, model, [](const std::string& text) { std::fprintf(stderr, "nib: %s\n", text.c_str()); });
}

// Gives the two texts of each pair a score: [chosen, rejected, chosen, ...].
using Scorer = std::function<std::vector<double>(std::span<const AnswerText> texts)>;

void measure(std::span<const LabelledExample> pairs, PreferenceScores scores, const Scorer& score, bool json) {
    const double start = seconds_since_start();
    Progress progress(stderr, stderr_is_terminal(), 1);
    std::vector<AnswerText> texts;
    for (size_t first = 0; first < pairs.size(); first += kTogether) {
        texts.clear();
        for (const LabelledExample& pair : pairs.subspan(first, std::min(kTogether, pairs.size() - first)))
            for (AnswerText& text : texts_of_pair(pair.text.ids, pair.text.types, pair.tags, pair.parts))
                texts.push_back(std::move(text));
        const std::vector<double> found = score(texts);
        for (size_t i = 0; i < found.size(); i += 2) {
            if (!std::isfinite(found[i]) || !std::isfinite(found[i + 1]))
                fail("a score is not a number; the weights are damaged or the training diverged");
            scores.add(found[i], found[i + 1]);
        }
        progress.status(strprintf("%lld of %zu pairs", static_cast<long long>(scores.count()), pairs.size()));
    }
    progress.clear();
    std::vector<Score> all = scores.scores();
    all.push_back({"loss", scores.loss()});
    print_scores(all, scores.count(), static_cast<double>(pairs.size()) / (seconds_since_start() - start), "pair", json);
}

}  // namespace

void add_preference_options(CLI::App& app, PreferenceEvalOptions& o) {
    constexpr const char* kGroup = "Preferences";
    app.add_option("--reference", o.reference, "of --task dpo: the model that the training started from")
        ->type_name("MODEL")
        ->group(kGroup);
    app.add_option("--beta", o.beta, "of its loss, -log sigmoid(beta margin), as in the training")
        ->transform(real_number())
        ->type_name("X")
        ->capture_default_str()
        ->group(kGroup);
}

void eval_rewards(const PreferenceData& data, bool json, Backend& backend, const LoadedModel& model) {
    const HeadConfig* const head = model.config().find_head("class");
    if (head == nullptr || head->outputs != 1 || head->multi_label)
        model.file().wrong("is no reward model, whose head gives a text one number");
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const auto score = [&](std::span<const AnswerText> texts) {
        std::vector<TextTokens> tokens;
        for (const AnswerText& text : texts) tokens.push_back(text.text);
        const std::vector<float> found =
            encoder.logits("class", tokens, SequenceEncoder::places_of(encoder.model().head("class"), tokens));
        return std::vector<double>(found.begin(), found.end());
    };
    measure(read_pairs(data, model), PreferenceScores(), score, json);
}

void eval_dpo(const PreferenceData& data, const PreferenceEvalOptions& o, bool json, Backend& backend,
              const LoadedModel& model) {
    const LoadedModel reference(model_file(o.reference), backend);
    for (const LoadedModel* one : {&model, &reference}) refuse_encoder_decoder(*one);
    const std::vector<LabelledExample> pairs = read_pairs(data, model), of_reference = read_pairs(data, reference, {});
    const auto same = [](const LabelledExample& a, const LabelledExample& b) {
        return a.text.ids == b.text.ids && a.parts == b.parts;
    };
    if (!std::equal(pairs.begin(), pairs.end(), of_reference.begin(), of_reference.end(), same))
        reference.file().wrong("is no reference of this model: it makes other tokens of the pairs");
    SequenceEncoder policy(backend, model.config(), model.weights()),
        before(backend, reference.config(), reference.weights());
    const auto score = [&](std::span<const AnswerText> texts) {
        std::vector<double> gains = answer_log_probs(policy, texts);
        const std::vector<double> logp = answer_log_probs(before, texts);
        for (size_t i = 0; i < gains.size(); ++i) gains[i] -= logp[i];
        return gains;
    };
    measure(pairs, PreferenceScores(o.beta), score, json);
}

}  // namespace nib

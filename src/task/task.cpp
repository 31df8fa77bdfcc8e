#include "task/task.h"

#include "core/error.h"
#include "task/masked_rows.h"

namespace nib {
namespace {

constexpr double kAnswerShare = 0.5;  // of a dialogue's tokens, roughly
constexpr double kTaggedShare = 0.8;  // of tokens, that begin words

struct TaskKind {
    const char* name;
    Objective objective;
    bool ragged;
    TaskReads reads;
    std::unique_ptr<Task> (*make)(const TaskTexts& texts);
    std::vector<std::string> metrics{};
};
// clang-format off
const TaskKind kTasks[] = {
    {kLanguageModel, {.head = "lm"}, false, TaskReads::Text, make_language_model_task},
    {kMaskedTokens, {.head = "mlm", .share = kMaskedShare}, false, TaskReads::Text, make_masked_tokens_task},
    {kTranslate, {.head = "lm"}, false, TaskReads::Pairs, make_translate_task},
    {kDialogues, {.head = "lm", .share = kAnswerShare}, true, TaskReads::Dialogues, make_dialogues_task},
    {kClassify, {.head = "class", .of_rows = true}, true, TaskReads::Labels, make_classify_task, {"accuracy", "f1", "mcc"}},
    {kTag, {.head = "tag", .share = kTaggedShare}, true, TaskReads::Tags, make_tag_task},
    {kRegress, {.head = "class", .loss = Loss::Squared, .of_rows = true}, true, TaskReads::Numbers, make_regress_task, {"spearman", "pearson"}},
    {kEmbed, {.head = "", .loss = Loss::Contrast, .of_rows = true}, true, TaskReads::Texts, make_embed_task},
    {kReward, {.head = "class", .loss = Loss::Preference, .of_rows = true}, true, TaskReads::Preferences, make_reward_task},
    {kDpo, {.head = "lm", .loss = Loss::Preference, .share = kAnswerShare, .of_rows = true}, true, TaskReads::Preferences, make_dpo_task},
    {kAnswer, {.head = "span", .loss = Loss::Span, .of_rows = true}, true, TaskReads::Questions, make_answer_task},
    {kPpo, {.head = "lm", .loss = Loss::Policy, .share = kAnswerShare}, true, TaskReads::Prompts, make_policy_task},
    {kGrpo, {.head = "lm", .loss = Loss::Policy, .share = kAnswerShare}, true, TaskReads::Prompts, make_policy_task},
    {kReinforce, {.head = "lm", .loss = Loss::Policy, .share = kAnswerShare}, true, TaskReads::Prompts, make_policy_task},
};
// clang-format on

const TaskKind& find_task(const std::string& name) {
    std::string names;
    for (const TaskKind& kind : kTasks) {
        if (name == kind.name) return kind;
        names += (names.empty() ? "" : ", ") + std::string(kind.name);
    }
    fail("there is no task `%s`; nib knows %s", printable(name, 40).c_str(), names.c_str());
}

}  // namespace

std::unique_ptr<Task> make_task(const std::string& name, const TaskTexts& texts) {
    return texts.choices.multi_label ? make_multi_label_task(texts) : find_task(name).make(texts);
}

std::vector<Objective> task_objectives(const std::string& name, const TaskChoices& choices) {
    std::vector<Objective> all = {find_task(name).objective};
    all[0].temperature = static_cast<float>(choices.temperature);
    if (name == kDpo) all[0].preference = choices.preference;
    all[0].policy = choices.policy.loss;
    all[0].ratios = choices.policy.kind != PolicyKind::Reinforce;
    all[0].value_weight = choices.policy.value_weight, all[0].value_clip = choices.policy.value_clip;
    if (choices.multi_label) all[0].loss = Loss::Binary;
    all[0].weighted = !choices.class_weights.empty();
    if (choices.next_sentence) all.push_back({.head = kNextSentence, .of_rows = true});
    if (choices.policy.ptx > 0) {  // Ouyang et al. 2022, section 3.5
        all[0].beside = true;
        all.push_back({.head = "lm", .weight = choices.policy.ptx, .share = kAnswerShare});
    }
    if (choices.lm_weight > 0) all.push_back({.head = "lm", .weight = choices.lm_weight});
    return all;
}

TaskReads task_reads(const std::string& name, const TaskChoices& choices) {
    return choices.multi_label ? TaskReads::LabelSets : find_task(name).reads;
}

bool task_has_labels(const std::string& name) {
    const TaskReads reads = task_reads(name);
    return reads != TaskReads::Text && reads != TaskReads::Pairs && reads != TaskReads::Dialogues;
}

std::vector<std::string> task_metrics(const std::string& name, const TaskChoices& choices) {
    if (choices.multi_label) return {"micro_f1", "macro_f1", "exact_match"};
    return find_task(name).metrics;
}

std::vector<std::string> tasks_with_labels() {
    std::vector<std::string> names;
    for (const TaskKind& kind : kTasks)
        if (task_has_labels(kind.name)) names.emplace_back(kind.name);
    return names;
}

bool task_is_ragged(const std::string& name, const TaskChoices& choices) {
    return find_task(name).ragged || choices.next_sentence;
}

}  // namespace nib

// Which values of options make sense, each alone and together.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "train/options.h"

namespace nib {
namespace {

void check_range(const char* option, double value, double low, double high, bool open = false) {
    if (value >= low && (open ? value < high : value <= high)) return;
    if (high == std::numeric_limits<double>::max())
        fail_usage_option(option, "is %g; it must be a number of %g or more", value, low);
    fail_usage_option(option, "is %g; it must be at least %g and %s %g", value, low, open ? "below" : "at most", high);
}

void check_count(const char* option, int64_t value, int64_t low) {
    constexpr int64_t kMaxCount = int64_t{1} << 31;
    if (value < low || value > kMaxCount)
        fail_usage_option(option, "is %lld; it must be between %lld and %lld", static_cast<long long>(value),
                          static_cast<long long>(low), static_cast<long long>(kMaxCount));
}

// UsageError unless the task has such a score.
void check_metric(const TrainOptions& o) {
    const std::vector<std::string> names = task_metrics(o.task, task_choices(o));
    if (o.metric.empty() || std::find(names.begin(), names.end(), o.metric) != names.end()) return;
    std::string known;
    for (const std::string& name : names) known += (known.empty() ? "; choose " : ", ") + name;
    fail_usage_option("metric", "is `%s`, which %s has not%s", printable(o.metric, 40).c_str(),
                      printable(o.task, 40).c_str(), known.c_str());
}

// Whether an option is not what it is by default.
bool differs(const TrainOptions& o, std::string_view name) {
    const auto field =
        std::find_if(option_fields().begin(), option_fields().end(), [&](const auto& f) { return f.name == name; });
    return std::visit([&](auto member) { return o.*member != TrainOptions{}.*member; }, field->member);
}

// Options of policies.
void check_policy(const TrainOptions& o) {
    if (task_reads(o.task) != TaskReads::Prompts) {
        for (const OptionField& field : option_fields())
            if (std::string_view(field.group) == "Policies" && differs(o, field.name))
                fail_usage_option(field.name, "is for policies; the task is %s", printable(o.task, 40).c_str());
        return;
    }
    for (const auto& [option, value] : {
             std::pair("group", o.group),
             {"rollouts",       o.rollouts      },
             {"rollout-epochs", o.rollout_epochs},
             {"max-new",        o.longest_answer}
    })
        check_count(option, value, 1);
    check_range("epsilon", o.epsilon, 0, 1000);
    check_range("epsilon-high", o.epsilon_high, 0, 1000);
    check_range("kl", o.kl, 0, 1000);
    check_range("kl-target", o.kl_target, 0, 1e6);
    check_range("kl-limit", o.kl_limit, 0, 1e6);
    check_range("vf-coef", o.vf_coef, 1e-9, 1000);
    check_range("value-clip", o.value_clip, 0, 1e6);
    check_range("discount", o.discount, 0, 1);
    check_range("lam", o.lam, 0, 1);
    check_range("ptx-coef", o.ptx_coef, 1e-9, 1e6);
    if (o.ptx.empty() && differs(o, "ptx-coef")) fail_usage_option("ptx-coef", "needs a text to go on learning from");
    check_range("reward-clip", o.reward_clip, 0, 1e6);
    check_range("missing-eos-penalty", o.missing_eos_penalty, 0, 1e6);
    for (const char* const option : {"kl-target", "vf-coef", "value-clip", "discount", "lam"})
        if (o.task != kPpo && differs(o, option))
            fail_usage_option(option, "is for the task %s; this is %s", kPpo, printable(o.task, 40).c_str());
    if (o.kl_target > 0 && !(o.kl > 0))
        fail_usage_option("kl-target", "needs a weight of the divergence to begin with, which is 0");
    check_range("entropy", o.entropy, 0, 1000);
    check_range("reward-timeout", o.reward_timeout, 0.001, 1e6);
    check_count("reward-length", o.reward_length, 0);
    const auto one_of = [](const char* option, const std::string& value, std::initializer_list<const char*> names) {
        std::string known;
        for (const char* const name : names) {
            if (value.empty() || value == name) return;
            known += (known.empty() ? "" : ", ") + std::string(name);
        }
        fail_usage_option(option, "is `%s`; choose one of: %s", printable(value, 40).c_str(), known.c_str());
    };
    one_of("loss-norm", o.loss_norm, {"dapo", "grpo", "dr_grpo", "none"});
    one_of("scale-rewards", o.scale_rewards, {"group", "batch", "start", "none"});
    if (o.scale_rewards == "start" && o.task != kPpo)
        fail_usage_option("scale-rewards", "start is for the task %s; this is %s", kPpo, printable(o.task, 40).c_str());
    one_of("baseline", o.baseline, {"group", "batch", "none"});
    if (o.task == kGrpo && o.group < 2)
        fail_usage_option("group", "is 1; texts are compared with others of the same prompt, which takes 2 or more");
    if (o.dropout > 0)
        fail_usage_option("dropout", "is %g; a policy learns from what it writes without dropout", o.dropout);
    for (const auto& [option, given] : {
             std::pair("lora-dropout", o.lora_dropout > 0),
             {"token-dropout",   o.token_dropout > 0  },
             {"label-smoothing", o.label_smoothing > 0},
             {"sample-every",    o.sample_every > 0   }
    })
        if (given) fail_usage_option(option, "is not for policies; the task is %s", printable(o.task, 40).c_str());
    if (o.scale_rewards == "start" && o.rollouts < 2)
        fail_usage_option("rollouts", "is 1; rewards have a deviation where there are 2 or more");
    if (o.rollouts % o.group != 0)
        fail_usage_option("rollouts", "are %lld, which are no whole groups of %lld", static_cast<long long>(o.rollouts),
                          static_cast<long long>(o.group));
    if (o.batch > 0 && o.accumulate > 0 && o.rollouts % (o.batch * o.accumulate) != 0)
        fail_usage_option("rollouts", "are %lld, which are no whole updates of %lld", static_cast<long long>(o.rollouts),
                          static_cast<long long>(o.batch * o.accumulate));
}

}  // namespace

void check_options(const TrainOptions& o) {
    constexpr double kAny = std::numeric_limits<double>::max();
    check_count("iters", o.iters, 1);
    check_count("accumulate", o.accumulate, 1);
    if (o.iters * o.accumulate > std::numeric_limits<uint32_t>::max())
        fail_usage_option("iters", "%lld times %lld accumulated batches is too large; at most 4294967295 are possible",
                          static_cast<long long>(o.iters), static_cast<long long>(o.accumulate));
    check_range("epochs", o.epochs, 0, 1e6);
    check_range("dropout", o.dropout, 0, 1, true);
    if (std::lround(o.dropout * 65536) > 65535) fail_usage_option("dropout", "is %g; it is too close to 1", o.dropout);
    check_range("lora", static_cast<double>(o.lora), 0, 65536);
    check_range("lora-alpha", o.lora_alpha, 0, 1e6);
    check_range("lora-dropout", o.lora_dropout, 0, 1, true);
    if (o.lora == 0 && (o.lora_alpha > 0 || o.lora_dropout > 0 || o.lora_targets != "all"))
        fail_usage_option("lora", "is needed for options of adapters");
    if (o.lora > 0 && !o.freeze.empty())
        fail_usage_option("freeze", "cannot be chosen with lora, which freezes all of the model");
    check_range("token-dropout", o.token_dropout, 0, 1, true);
    check_range("layer-decay", o.layer_decay, 0.01, 1);
    check_metric(o);
    if (!(o.temperature >= 1e-4 && o.temperature <= 1e4))
        fail_usage_option("temperature", "is %g; it must be between 0.0001 and 10000", o.temperature);
    check_range("lm-weight", o.lm_weight, 0, 1000);
    check_range("label-smoothing", o.label_smoothing, 0, 1, true);
    if (o.batch < 1) fail_usage_option("batch", "is %lld; it must be 1 or more", static_cast<long long>(o.batch));
    check_range("seed", static_cast<double>(o.seed), 0, kAny);
    check_range("val-fraction", o.val_fraction, 0, 1, true);
    if (o.documents != "files" && o.documents != "blank-lines" && o.documents != "lines")
        fail_usage_option("documents", "is `%s`; choose files, blank-lines or lines", printable(o.documents, 40).c_str());
    if (!o.chat_template.empty() && o.task != kDialogues && task_reads(o.task) != TaskReads::Preferences &&
        task_reads(o.task) != TaskReads::Prompts)
        fail_usage_option("template", "is for dialogues; the task is %s", printable(o.task, 40).c_str());
    if (o.skip_bad && task_reads(o.task) == TaskReads::Text)
        fail_usage_option("skip-bad", "is for records; the task is %s", printable(o.task, 40).c_str());
    if ((o.nsp || o.whole_words) && o.task != kMaskedTokens)
        fail_usage_option(o.nsp ? "nsp" : "whole-words", "is for the task %s; this is %s", kMaskedTokens,
                          printable(o.task, 40).c_str());
    if (o.header && o.no_header) fail_usage_option("header", "and no-header contradict each other");
    const bool in_columns = task_has_labels(o.task) && o.task != kTag && o.task != kAnswer &&
                            task_reads(o.task) != TaskReads::Preferences && task_reads(o.task) != TaskReads::Prompts;
    for (const char* const option : {"text-column", "second-column", "label-column", "header", "no-header"})
        if (!in_columns && differs(o, option) && (o.task != kTranslate || option == std::string_view("label-column")))
            fail_usage_option(option, "is for texts with labels; the task is %s", printable(o.task, 40).c_str());
    if (o.preference_loss != "sigmoid" && o.preference_loss != "hinge" && o.preference_loss != "ipo")
        fail_usage_option("preference-loss", "is `%s`; choose sigmoid, hinge or ipo",
                          printable(o.preference_loss, 40).c_str());
    if (!(o.beta >= 1e-4 && o.beta <= 1e4)) fail_usage_option("beta", "is %g; it must be between 0.0001 and 10000", o.beta);
    check_range("preference-smoothing", o.preference_smoothing, 0, 0.5, true);
    if (o.preference_smoothing > 0 && o.preference_loss != "sigmoid")
        fail_usage_option("preference-smoothing", "is for the loss sigmoid; this is %s", o.preference_loss.c_str());
    check_policy(o);
    for (const char* option : {"preference-loss", "beta", "preference-smoothing"})
        if (o.task != kDpo && differs(o, option))
            fail_usage_option(option, "is for the task %s; this is %s", kDpo, printable(o.task, 40).c_str());
    for (const char* option : {"lm-weight", "multi-label", "label-separator", "class-weights"})
        if (o.task != kClassify && differs(o, option))
            fail_usage_option(option, "is for the task %s; this is %s", kClassify, printable(o.task, 40).c_str());
    if (o.multi_label && !o.class_weights.empty())
        fail_usage_option("class-weights", "are of texts with one label, not several");
    if (o.label_smoothing > 0 && !o.class_weights.empty())
        fail_usage_option("class-weights", "and label-smoothing cannot both be chosen");
    for (const char* option : {"temperature", "min-score"})
        if (o.task != kEmbed && differs(o, option))
            fail_usage_option(option, "is for the task %s; this is %s", kEmbed, printable(o.task, 40).c_str());
    if (o.task == kEmbed && o.batch < 2)
        fail_usage_option("batch", "is %lld; embeddings are learned from the other texts of a batch, which takes 2 or more",
                          static_cast<long long>(o.batch));
    check_count("stride", o.stride, 0);
    if (o.stride > 0 && o.task != kAnswer)
        fail_usage_option("stride", "is for the task %s; this is %s", kAnswer, printable(o.task, 40).c_str());
    if (o.label_smoothing > 0 && (o.task == kRegress || o.task == kEmbed || o.task == kAnswer || o.multi_label ||
                                  task_reads(o.task) == TaskReads::Preferences))
        fail_usage_option("label-smoothing", "is for targets of which one is right; the task is %s", o.task.c_str());
    if (o.isolate && o.task != kLanguageModel)
        fail_usage_option("isolate", "is for the task %s; this is %s", kLanguageModel, printable(o.task, 40).c_str());
    check_schedule(o.learning_rate());
    if (o.optimizer != "adamw" && o.optimizer != "adam" && o.optimizer != "sgd" && o.optimizer != "adagrad")
        fail_usage_option("optimizer", "is `%s`; choose adamw, adam, sgd or adagrad", printable(o.optimizer, 40).c_str());
    check_range("beta1", o.beta1, 0, 1, true);
    check_range("beta2", o.beta2, 0, 1, true);
    if (!(o.adam_eps >= 1e-30 && o.adam_eps <= 1))
        fail_usage_option("adam-eps", "is %g; it must be between 1e-30 and 1", o.adam_eps);
    check_range("momentum", o.momentum, 0, 1, true);
    check_range("weight-decay", o.weight_decay, 0, kAny);
    check_range("clip", o.clip, 0, kAny);
    check_count("eval-every", o.eval_every, 1);
    check_range("eval-tokens", static_cast<double>(o.eval_tokens), 0, kAny);
    check_count("patience", o.patience, 0);
    check_count("save-every", o.save_every, 1);
    check_count("average", o.average, 0);
    if (o.average > 0 && o.patience > 0)
        fail_usage_option("average", "needs a training that ends at a given step, without patience");
    check_count("sample-every", o.sample_every, 0);
    check_count("log-every", o.log_every, 1);
}

}  // namespace nib

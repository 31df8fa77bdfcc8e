#include "train/options.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "model/architecture.h"
#include "task/question_text.h"
#include "task/task.h"

namespace nib {
namespace {

using O = TrainOptions;
using Kind = OptionField::Kind;

// clang-format off
const OptionField kFields[] = {
    {"arch",            Kind::Model, &O::arch,          "Model", "architecture: " + architecture_names()},
    {"task",            Kind::Fixed, &O::task,          "Model", "what is learned: lm, the next token; mlm, masked ones; translate, the second text of each pair from the first; dialogue, what the assistant says; classify, the label of a text or of two; tag, those of words; regress, a number of a text or of two; embed, to bring pairs of texts together; qa, where in a text the answer to a question is; reward, which of two answers is better; dpo, to prefer the better one; ppo, grpo and reinforce, to write what is rewarded (default: mlm for encoders, translate for models with an encoder and a decoder, dialogue for files of dialogues, else lm)"},
    {"tokenizer",       Kind::Fixed, &O::tokenizer,     "Model", "what the model reads: a tokenizer.json or a model that has one, or one to be learned from the texts, bpe:8000 or wordpiece:8000, or char: their characters and a token that ends documents (default: their characters; char where documents matter)"},
    {"layers",          Kind::Model, &O::layers,        "Model", "transformer blocks"},
    {"heads",           Kind::Model, &O::heads,         "Model", "attention heads; must divide the channels"},
    {"embd",            Kind::Model, &O::embd,          "Model", "channels"},
    {"kv-heads",        Kind::Model, &O::kv_heads,      "Model", "llama: heads of keys and values; must divide the heads (default: as many)"},
    {"ffn",             Kind::Model, &O::ffn,           "Model", "width of the feed-forward layers (default: 4 x the channels; llama: 8/3 x, a multiple of 32)"},
    {"attention",       Kind::Model, &O::attention,     "Model", "full, or alternate: every second layer attends within a window (default: gpt3 and gptneo alternate)"},
    {"window",          Kind::Model, &O::window,        "Model", "alternate: tokens in the window (default: 256)"},
    {"encoder-layers",  Kind::Model, &O::encoder_layers, "Model", "of models with an encoder and a decoder: blocks of the encoder (default: as many as of the decoder)"},
    {"norm-first",      Kind::Model, &O::norm_first,    "Model", "of the same: norms before each part of a block, not after each sum"},
    {"context",         Kind::Fixed, &O::context,       "Model", "tokens that the model sees at once (default: 64; from a model as many as it does, at most 256)"},
    {"untied",          Kind::Model, &O::untied,        "Model", "an output head of its own, not the token embedding"},

    {"iters",           Kind::Free,  &O::iters,         "Training", "steps in all; a resumed training may take more"},
    {"epochs",          Kind::Fixed, &O::epochs,        "Training", "times that all of the text is seen, instead of a number of steps (default: 3 for dialogues and labels)"},
    {"batch",           Kind::Fixed, &O::batch,         "Training", "sequences at a time (default: 16; from a model 4, of labels 16)"},
    {"accumulate",      Kind::Fixed, &O::accumulate,    "Training", "batches whose gradients are added up for one step"},
    {"recompute",       Kind::Free,  &O::recompute,     "Training", "keep less for the backward pass, which computes each block again: slower, same bits"},
    {"dropout",         Kind::Fixed, &O::dropout,       "Training", "probability of dropout, 0 to below 1"},
    {"token-dropout",   Kind::Fixed, &O::token_dropout, "Training", "probability that a token is hidden from the model, 0 to below 1: it reads a mask instead, or an unknown or any other token"},
    {"label-smoothing", Kind::Fixed, &O::label_smoothing, "Training", "part of each target that all tokens share; validation has none"},
    {"seed",            Kind::Fixed, &O::seed,          "Training", "seed of weights, batches and dropout"},
    {"documents",       Kind::Fixed, &O::documents,     "Training", "where texts end and the next begin: files (and records of .jsonl), blank-lines, too, or lines, each of which is one"},
    {"isolate",         Kind::Fixed, &O::isolate,       "Training", "tokens do not see other texts that happen to stand before them"},
    {"nsp",             Kind::Fixed, &O::nsp,           "Training", "of mlm, as BERT: rows are two texts, and whether the second follows the first is learned, too"},
    {"whole-words",     Kind::Fixed, &O::whole_words,   "Training", "of mlm: all tokens of a word are hidden, or none"},
    {"template",        Kind::Fixed, &O::chat_template, "Training", "how dialogues are written, for a model that does not say: chatml, llama2, llama3, zephyr, mistral or alpaca"},
    {"skip-bad",        Kind::Fixed, &O::skip_bad,      "Training", "pass over records that are not as they should be, and say how many"},
    {"text-column",     Kind::Fixed, &O::text_column,   "Labels", "column of the texts, by its name or its number, 1 for the first, -1 for the last (default: all but that of the labels)"},
    {"second-column",   Kind::Fixed, &O::second_column, "Labels", "column of a second text that belongs to the first; of its translation"},
    {"label-column",    Kind::Fixed, &O::label_column,  "Labels", "column of the labels (default: named label, else the last)"},
    {"header",          Kind::Fixed, &O::header,        "Labels", "the first line names the columns (default: if it looks like names)"},
    {"no-header",       Kind::Fixed, &O::no_header,     "Labels", "the first line is an example, too"},
    {"multi-label",     Kind::Fixed, &O::multi_label,   "Labels", "classify: a text has any number of labels, also none: a list in JSON, or names with a separator between them"},
    {"label-separator", Kind::Fixed, &O::label_separator, "Labels", "multi-label: what stands between the labels of a row, but in JSON"},
    {"class-weights",   Kind::Fixed, &O::class_weights, "Labels", "classify: how much the examples of a label count in the loss: name=2,other=0.5, or balanced, so that all labels count alike"},
    {"lm-weight",       Kind::Fixed, &O::lm_weight,     "Labels", "of decoders: weight of the next tokens' loss, which is learned beside the labels (GPT-1: 0.5)"},
    {"temperature",     Kind::Fixed, &O::temperature,   "Labels", "embed: cosines are divided by it"},
    {"min-score",       Kind::Fixed, &O::min_score,     "Labels", "embed: pairs train whose label is as high, where a column of labels is named; 0: all"},
    {"stride",          Kind::Fixed, &O::stride,        "Labels", "qa: tokens from one window of a long text to the next; 0: 128, or half of what fits where that is less"},
    {"preference-loss", Kind::Fixed, &O::preference_loss, "Preferences", "dpo: sigmoid, hinge or ipo"},
    {"beta",            Kind::Fixed, &O::beta, "Preferences", "dpo: how much log-probabilities count against those of the model to start from; less lets the model go farther"},
    {"preference-smoothing", Kind::Fixed, &O::preference_smoothing, "Preferences", "dpo, sigmoid: how probable it is that a pair is the wrong way round"},
    {"reward",          Kind::Fixed, &O::reward,         "Policies", "a model that scores texts, or FILE.gguf:LABEL, the probability of a label"},
    {"reward-command",  Kind::Fixed, &O::reward_command, "Policies", "a command that reads a line of JSON for each text ({\"prompt\", \"response\", \"reference\"}) and writes a number for each"},
    {"reward-timeout",  Kind::Free,  &O::reward_timeout, "Policies", "seconds that it may take for all texts of an iteration"},
    {"reward-regex",    Kind::Fixed, &O::reward_regex,   "Policies", "1 for each text in which this pattern is found"},
    {"reward-length",   Kind::Fixed, &O::reward_length,  "Policies", "tokens that a text should have: less is given for others"},
    {"reward-match",    Kind::Fixed, &O::reward_match,   "Policies", "how a text is compared with the answer in the data: exact, bleu or chrf"},
    {"reward-weights",  Kind::Fixed, &O::reward_weights, "Policies", "of several rewards, in the order above, such as 1,0.5 (default: all 1)"},
    {"reward-clip",     Kind::Fixed, &O::reward_clip,    "Policies", "rewards count from minus this to this; 0: all that they are"},
    {"missing-eos-penalty", Kind::Fixed, &O::missing_eos_penalty, "Policies", "taken from the reward of a text that does not end by itself"},
    {"group",           Kind::Fixed, &O::group,          "Policies", "texts that are written for a prompt (default: 8, of ppo 1)"},
    {"rollouts",        Kind::Fixed, &O::rollouts,       "Policies", "texts of an iteration, from which it learns in updates of as many as a batch has"},
    {"rollout-epochs",  Kind::Fixed, &O::rollout_epochs, "Policies", "how often an iteration learns from them (default: 1, of ppo 4)"},
    {"max-new",         Kind::Fixed, &O::longest_answer, "Policies", "tokens of a text at most (default: 64, or half of the context where that is less)"},
    {"answer-end",      Kind::Fixed, &O::answer_end,     "Policies", "a token that ends a text, beside those of the model, as text"},
    {"epsilon",         Kind::Fixed, &O::epsilon,        "Policies", "ppo, grpo: how far ratios of probabilities may leave 1"},
    {"epsilon-high",    Kind::Fixed, &O::epsilon_high,   "Policies", "the same upwards (default: the same)"},
    {"kl",              Kind::Fixed, &O::kl,             "Policies", "weight of the divergence from the model to start from: of the loss, of ppo in the rewards (default: 0, of ppo 0.05)"},
    {"kl-target",       Kind::Fixed, &O::kl_target,      "Policies", "ppo: nats of a text that the divergence is held near, by a weight that adapts; 0: the weight stays"},
    {"kl-limit",        Kind::Free,  &O::kl_limit,       "Policies", "nats of a text at which the divergence ends the training, where it has a weight; 0: none"},
    {"vf-coef",         Kind::Fixed, &O::vf_coef,        "Policies", "ppo: weight of the value function's loss"},
    {"value-clip",      Kind::Fixed, &O::value_clip,     "Policies", "ppo: how far values may leave the old ones; 0: any distance"},
    {"discount",        Kind::Fixed, &O::discount,       "Policies", "ppo: how much each later token's reward counts against the one before it (gamma)"},
    {"lam",             Kind::Fixed, &O::lam,            "Policies", "ppo: lambda of generalized advantage estimation"},
    {"entropy",         Kind::Fixed, &O::entropy,        "Policies", "weight of the entropy, which it keeps up"},
    {"loss-norm",       Kind::Fixed, &O::loss_norm,      "Policies", "what losses are divided by: dapo, all tokens of an update; grpo, each text's own; dr_grpo, the longest text; none (default: dapo, of reinforce none)"},
    {"scale-rewards",   Kind::Fixed, &O::scale_rewards,  "Policies", "whose deviation rewards are divided by: group, batch or none; of ppo start, mean and deviation of the first iteration (default: group, of reinforce none, of ppo start for a model that scores texts in numbers, else none)"},
    {"baseline",        Kind::Fixed, &O::baseline,       "Policies", "whose mean rewards are compared with: group, batch or none (default: group, of reinforce batch, of ppo none)"},
    {"ptx",             Kind::Free,  &O::ptx,            "Policies", "a text that the policy goes on learning as a language model, so that it does not forget"},
    {"ptx-coef",        Kind::Fixed, &O::ptx_coef,       "Policies", "weight of that loss"},
    {"metric",          Kind::Fixed, &O::metric,        "Labels", "score by which a model is the best: accuracy, f1 or mcc (default: accuracy); multi-label: micro_f1, macro_f1 or exact_match (default: micro_f1); of regress spearman or pearson (default: spearman)"},
    {"freeze",          Kind::Fixed, &O::freeze,        "Training", "of a model to start from: parts that stay as they are: embeddings, blocks such as 0-3, encoder, decoder, with commas between them"},
    {"add-tokens",      Kind::Fixed, &O::add_tokens,    "Training", "marks that the model to start from gets as tokens, such as <|im_start|>,<|im_end|>"},
    {"val-fraction",    Kind::Fixed, &O::val_fraction,  "Training", "part of the text, at its end, that only validates; of texts with labels any, by the seed"},

    {"lora",            Kind::Fixed, &O::lora,          "LoRA", "rank of adapters that are trained instead of the model to start from; what is written is an adapter"},
    {"lora-alpha",      Kind::Fixed, &O::lora_alpha,    "LoRA", "adapters count this / rank times (default: the rank)"},
    {"lora-dropout",    Kind::Fixed, &O::lora_dropout,  "LoRA", "probability of dropout of what goes into adapters"},
    {"lora-targets",    Kind::Fixed, &O::lora_targets,  "LoRA", "which matrices of every block have one, such as attn_q,attn_v; all: all"},

    {"schedule",        Kind::Fixed, &O::schedule,      "Learning rate", "constant, linear, step, cosine or inverse-sqrt"},
    {"lr",              Kind::Fixed, &O::lr,            "Learning rate", "learning rate after warm-up (default: 0.4 / channels, at most 0.003; a third of it where norms come after sums, as in GPT-1 and BERT; from a model 5e-5, of adapters 5e-4)"},
    {"min-lr",          Kind::Fixed, &O::min_lr,        "Learning rate", "where linear and cosine end (default: a tenth of the learning rate)"},
    {"decay-iters",     Kind::Fixed, &O::decay_iters,   "Learning rate", "step at which they end (default: the steps of the first run)"},
    {"warmup",          Kind::Fixed, &O::warmup,        "Learning rate", "steps of warm-up (default: a tenth of those steps, at most 100)"},
    {"step-size",       Kind::Fixed, &O::step_size,     "Learning rate", "step: steps between two decays"},
    {"gamma",           Kind::Fixed, &O::gamma,         "Learning rate", "step: factor of each decay"},

    {"layer-decay",     Kind::Fixed, &O::layer_decay,   "Learning rate", "of a model to start from: each block learns at so many times the rate of the one above it, the embeddings likewise"},
    {"optimizer",       Kind::Fixed, &O::optimizer,     "Optimizer", "adamw, adam, sgd or adagrad, as torch.optim has them"},
    {"beta1",           Kind::Fixed, &O::beta1,         "Optimizer", "adamw, adam: decay of the mean gradient"},
    {"beta2",           Kind::Fixed, &O::beta2,         "Optimizer", "adamw, adam: decay of the mean squared gradient"},
    {"adam-eps",        Kind::Fixed, &O::adam_eps,      "Optimizer", "adamw, adam, adagrad: epsilon (default: 1e-8; adagrad 1e-10)"},
    {"momentum",        Kind::Fixed, &O::momentum,      "Optimizer", "sgd: momentum, 0 for none"},
    {"weight-decay",    Kind::Fixed, &O::weight_decay,  "Optimizer", "of matrices and embeddings; norms and biases have none; all but adamw add it to the gradient (default: adamw 0.1, from a model 0.01; others 0)"},
    {"clip",            Kind::Fixed, &O::clip,          "Optimizer", "largest norm of all gradients together, 0 for no limit"},

    {"eval-every",      Kind::Free,  &O::eval_every,    "Reports", "steps between validations"},
    {"eval-tokens",     Kind::Free,  &O::eval_tokens,   "Reports", "tokens of a validation, evenly spaced; 0: all, as of labels unless given"},
    {"patience",        Kind::Free,  &O::patience,      "Reports", "stop after so many validations without a new best; 0: never"},
    {"save-every",      Kind::Free,  &O::save_every,    "Reports", "steps between checkpoints (default: as many as between validations)"},
    {"average",         Kind::Free,  &O::average,       "Reports", "at the end also write NAME.mean.gguf, the mean of the weights then and at the checkpoints before, so many in all; 0: none"},
    {"sample-every",    Kind::Free,  &O::sample_every,  "Reports", "steps between samples; 0: only one at the end"},
    {"sample-prompt",   Kind::Free,  &O::sample_prompt, "Reports", "text that the samples begin with; of dialogues a message that they answer"},
    {"log-every",       Kind::Free,  &O::log_every,     "Reports", "steps between lines where no terminal shows a live one"},
    {"tensorboard",     Kind::Free,  &O::tensorboard,   "Reports", "folder in which TensorBoard finds the curves, under the model's name"},
};
// clang-format on

std::string key_of(const OptionField& field) {
    std::string key = std::string("nib.train.") + field.name;
    std::replace(key.begin(), key.end(), '-', '_');
    return key;
}

std::string text_of(const TrainOptions& options, const OptionField::Member& member) {
    return std::visit(
        [&]<class T>(T TrainOptions::*m) -> std::string {
            if constexpr (std::is_same_v<T, std::string>) return "`" + printable(options.*m) + "`";
            if constexpr (std::is_same_v<T, double>) return strprintf("%.9g", options.*m);
            if constexpr (std::is_same_v<T, bool>) return options.*m ? "on" : "off";
            if constexpr (std::is_same_v<T, int64_t>) return std::to_string(options.*m);
        },
        member);
}

const Architecture& family_of(const TrainOptions& o) {
    const Architecture* const family = find_architecture(o.arch);
    if (family == nullptr)
        fail_usage_option("arch", "is `%s`; choose one of: %s", printable(o.arch).c_str(), architecture_names().c_str());
    return *family;
}

// What models of a family learn from a text.
std::string usual_task(const Architecture& family) {
    return family.has_encoder ? kTranslate : family.encoder_only ? kMaskedTokens : kLanguageModel;
}

bool has_head(const Architecture& family, const std::string& name) {
    return std::any_of(family.heads.begin(), family.heads.end(), [&](const HeadTensor& head) { return head.name == name; });
}

// Whether a family can learn a task with labels. Embeddings need no head, but a text that is read as a whole.
bool learns(const Architecture& family, const std::string& task) {
    const std::string head = task_objectives(task).front().head;
    if (head == "lm") return usual_task(family) == kLanguageModel;
    return head.empty() ? !family.has_encoder : has_head(family, head);
}

// "lm, dialogue, classify"
std::string tasks_of(const Architecture& family) {
    std::string names = usual_task(family);
    if (names == kLanguageModel) names += std::string(", ") + kDialogues;
    for (const std::string& task : tasks_with_labels())
        if (learns(family, task)) names += ", " + task;
    return names;
}

// Error for what a family does not learn; no task is chosen yet: none.
void check_task(const TrainOptions& o, const Architecture& family) {
    const std::string usual = usual_task(family);
    if (o.lm_weight > 0 && usual != kLanguageModel)
        fail_usage_option("lm-weight", "is for decoders; a %s has no next token", family.title);
    if (o.task.empty() || o.task == usual || (o.task == kDialogues && usual == kLanguageModel)) return;
    if (!task_has_labels(o.task) || !learns(family, o.task))
        fail_usage_option("task", "is `%s`; a %s learns %s", printable(o.task, 40).c_str(), family.title,
                          tasks_of(family).c_str());
}

void set_attention(const TrainOptions& o, const Architecture& architecture, ModelConfig& c) {
    if (!o.attention.empty() && o.attention != "full" && o.attention != "alternate")
        fail_usage_option("attention", "is `%s`; choose full or alternate", printable(o.attention, 40).c_str());
    if (o.window < 0) fail_usage_option("window", "is negative; it must be 1 or more");
    const bool full = o.attention == "full" || (o.attention.empty() && c.attention.window == 0);
    if (o.attention == "alternate" && !architecture.may_be_local)
        fail_usage_option("attention", "is alternate, but all layers of %s see the whole text", architecture.name);
    if (o.window > 0 && full)
        fail_usage_option("window", "is %lld, but all layers see the whole text", static_cast<long long>(o.window));
    if (full) c.attention.window = 0;
    if (o.window > 0) c.attention.window = o.window;
}

void set_encoder(const TrainOptions& o, const Architecture& architecture, ModelConfig& c) {
    if (o.encoder_layers < 0) fail_usage_option("encoder-layers", "is negative; it must be 1 or more");
    if (!architecture.has_encoder && o.encoder_layers > 0)
        fail_usage_option("encoder-layers", "is %lld, but %s has no encoder", static_cast<long long>(o.encoder_layers),
                          architecture.name);
    if (!architecture.has_encoder && o.norm_first)
        fail_usage_option("norm-first", "cannot be chosen for %s", architecture.name);
    c.encoder_layers = o.encoder_layers;
    c.encoder_decoder.pre_norm = o.norm_first;
}

// The options of a model that is there.
void take_model(const ModelConfig& config, TrainOptions& o) {
    o.arch = config.arch;
    o.layers = config.layers;
    o.kv_heads = config.kv_heads;
    o.ffn = config.ffn;
    o.encoder_layers = config.encoder_layers;
    o.norm_first = config.encoder_decoder.pre_norm;
    o.attention = config.attention.window > 0 ? "alternate" : "full";
    o.window = config.attention.window;
    o.heads = config.heads;
    o.embd = config.embd;
    o.untied = !config.tied;
}

}  // namespace

std::span<const OptionField> option_fields() { return kFields; }

Schedule TrainOptions::learning_rate() const {
    return {schedule_kind(schedule), lr, min_lr, warmup, decay_iters, step_size, gamma};
}

ModelConfig TrainOptions::config(int64_t vocab) const {
    const Architecture& architecture = family_of(*this);
    ModelConfig c;
    c.arch = arch;
    architecture.defaults(c);
    c.layers = layers;
    c.heads = heads;
    c.embd = embd;
    c.context = context;
    c.vocab = vocab;
    c.tied = !untied;
    c.kv_heads = kv_heads;
    c.ffn = ffn;
    if (kv_heads < 0 || ffn < 0) fail_usage_option(kv_heads < 0 ? "kv-heads" : "ffn", "is negative; it must be 1 or more");
    set_attention(*this, architecture, c);
    set_encoder(*this, architecture, c);
    check_task(*this, architecture);
    const std::string usual = usual_task(architecture);
    if (usual == kMaskedTokens && (task.empty() || task == usual)) c.task_heads.push_back({kMaskedTokens, vocab, {}});
    if (nsp) c.task_heads.push_back({"nsp", 2, {}}), c.pooler = true;
    architecture.complete(c);
    return c;
}

LoraConfig lora_of(const TrainOptions& o) {
    LoraConfig lora{o.lora, o.lora_alpha, o.lora_dropout, {}};
    for (size_t at = 0; o.lora > 0 && at <= o.lora_targets.size();) {
        const size_t end = std::min(o.lora_targets.find(',', at), o.lora_targets.size());
        lora.targets.push_back(o.lora_targets.substr(at, end - at));
        at = end + 1;
    }
    return lora;
}

// The choices of a policy, by their names.
PolicyChoices policy_choices(const TrainOptions& o) {
    const auto baseline = [](const std::string& name) {
        return name == "group"   ? PolicyBaseline::Group
               : name == "batch" ? PolicyBaseline::Batch
               : name == "start" ? PolicyBaseline::Start
                                 : PolicyBaseline::None;
    };
    PolicyChoices p;
    const bool ppo = o.task == kPpo, reinforce = o.task == kReinforce;
    p.kind = ppo ? PolicyKind::Ppo : reinforce ? PolicyKind::Reinforce : PolicyKind::Grpo;
    p.loss.clip_low = static_cast<float>(o.epsilon);
    p.loss.clip_high = static_cast<float>(o.epsilon_high > 0 ? o.epsilon_high : o.epsilon);
    if (ppo)
        p.gae.kl = o.kl;  // in the rewards
    else
        p.loss.kl = static_cast<float>(o.kl);
    p.loss.entropy = static_cast<float>(o.entropy);
    const std::string norm = !o.loss_norm.empty() ? o.loss_norm : reinforce ? "none" : "dapo";
    p.norm = norm == "dapo"      ? PolicyNorm::Tokens
             : norm == "grpo"    ? PolicyNorm::Text
             : norm == "dr_grpo" ? PolicyNorm::Longest
                                 : PolicyNorm::Sum;
    p.reward = {o.reward,        o.reward_command, o.reward_timeout, o.reward_regex,
                o.reward_length, o.reward_match,   o.reward_weights};
    const bool in_numbers = !o.reward.empty() && reward_file(p.reward) == o.reward;  // not the probability of a label
    p.baseline = baseline(!o.baseline.empty() ? o.baseline : ppo ? "none" : reinforce ? "batch" : "group");
    p.scale = baseline(!o.scale_rewards.empty() ? o.scale_rewards
                       : ppo && in_numbers      ? "start"
                       : ppo || reinforce       ? "none"
                                                : "group");
    if (ppo) {
        p.value_weight = static_cast<float>(o.vf_coef), p.value_clip = static_cast<float>(o.value_clip);
        p.gae.discount = o.discount, p.gae.lambda = o.lam;
    }
    p.kl_target = o.kl_target, p.kl_limit = o.kl_limit;
    if (!o.ptx.empty()) p.ptx = o.ptx_coef;
    p.reward_clip = o.reward_clip, p.missing_end = o.missing_eos_penalty;
    p.group = o.group, p.rollouts = o.rollouts, p.epochs = o.rollout_epochs, p.longest = o.longest_answer;
    return p;
}

TaskChoices task_choices(const TrainOptions& o) {
    const Preference kind = o.preference_loss == "ipo"     ? Preference::Ipo
                            : o.preference_loss == "hinge" ? Preference::Hinge
                                                           : Preference::Sigmoid;
    return {
        o.nsp,
        o.whole_words,
        o.temperature,
        o.lm_weight,
        o.multi_label,
        o.class_weights,
        {kind, static_cast<float>(o.beta), static_cast<float>(o.preference_smoothing)},
        policy_choices(o)
    };
}

DocumentEnds document_ends(const TrainOptions& o) {
    return o.documents == "lines"         ? DocumentEnds::Lines
           : o.documents == "blank-lines" ? DocumentEnds::BlankLines
                                          : DocumentEnds::Files;
}

Optimizer optimizer_of(const TrainOptions& o) {
    if (o.optimizer == "adamw") return Optimizer::AdamW;
    if (o.optimizer == "adam") return Optimizer::Adam;
    if (o.optimizer == "adagrad") return Optimizer::Adagrad;
    return o.momentum > 0 ? Optimizer::SgdMomentum : Optimizer::Sgd;
}

void take_preset(const Preset& preset, TrainOptions& o, GivenOptions& given) {
    const auto set = [&](const char* option, auto& value, const auto& of_preset) {
        if (given.insert(option).second) value = of_preset;
    };
    set("layers", o.layers, preset.layers);
    set("heads", o.heads, preset.heads);
    set("embd", o.embd, preset.embd);
    if (preset.arch != nullptr) set("arch", o.arch, preset.arch);
    if (preset.context > 0) set("context", o.context, preset.context);
}

void resolve_defaults(TrainOptions& o, const GivenOptions& given) {
    const Architecture& family = family_of(o);
    if (o.task.empty()) o.task = usual_task(family);
    // Wider models want smaller steps: roughly what Brown et al. 2020 (table 2.1) used.
    if (!given.contains("lr") && o.lr == 0) o.lr = family.lr_scale * std::min(0.003, 0.4 / static_cast<double>(o.embd));
    if (!given.contains("min-lr")) o.min_lr = o.lr / 10;
    if (!given.contains("decay-iters")) o.decay_iters = o.iters;
    if (!given.contains("warmup")) o.warmup = std::clamp<int64_t>(o.decay_iters / 10, 0, 100);
    if (o.task == kPpo) {  // as Ouyang et al. 2022, appendix C.4
        if (!given.contains("group")) o.group = 1;
        if (!given.contains("rollout-epochs")) o.rollout_epochs = 4;
        if (!given.contains("kl")) o.kl = 0.05;
    }
    if (!given.contains("adam-eps") && o.optimizer == "adagrad") o.adam_eps = 1e-10;
    if (!given.contains("weight-decay") && o.optimizer != "adamw") o.weight_decay = 0;
    if (!given.contains("save-every")) o.save_every = o.eval_every;
}

void start_from(const ModelConfig& config, TrainOptions& o, const GivenOptions& given) {
    for (const OptionField& field : kFields)
        if (field.kind == Kind::Model && given.contains(field.name))
            fail_usage_option(field.name, "cannot be chosen for a model that is there already");
    if (given.contains("tokenizer")) fail_usage_option("tokenizer", "cannot be chosen: the model has its own");
    take_model(config, o);
    check_task(o, family_of(o));
    const auto usual = [&](const char* option, auto& value, auto other) {
        if (!given.contains(option)) value = other;
    };
    usual("context", o.context, std::min<int64_t>(config.context, o.task == kAnswer ? kAnswerWindow : 256));
    if (!o.task.empty() && task_reads(o.task) == TaskReads::Prompts)
        usual("max-new", o.longest_answer, std::min<int64_t>(64, o.context / 2));
    usual("batch", o.batch, int64_t{!o.task.empty() && task_has_labels(o.task) ? 16 : 4});
    usual("lr", o.lr, o.lora > 0 ? 5e-4 : 5e-5);
    usual("weight-decay", o.weight_decay, 0.01);
}

void write_options(GgufWriter& file, const TrainOptions& options) {
    for (const OptionField& field : kFields)
        if (field.kind != Kind::Model)
            std::visit([&](auto member) { file.set(key_of(field), options.*member); }, field.member);
}

TrainOptions read_options(const GgufFile& file, const ModelConfig& config) {
    TrainOptions options;
    take_model(config, options);
    for (const OptionField& field : kFields)
        if (field.kind != Kind::Model)
            std::visit([&]<class T>(T TrainOptions::*member) { options.*member = file.get<T>(key_of(field)); },
                       field.member);
    try {
        check_options(options);
    } catch (const Error& error) {
        fail("%s: %s", printable(file.name()).c_str(), error.what());
    }
    return options;
}

TrainOptions merge_options(const TrainOptions& saved, const TrainOptions& now, const GivenOptions& given,
                           const std::string& where) {
    TrainOptions merged = saved;
    for (const OptionField& field : kFields) {
        if (!given.contains(field.name)) continue;
        std::visit(
            [&](auto member) {
                if (field.kind != Kind::Free && saved.*member != now.*member)
                    fail(
                        "%s: was trained with %s %s, but %s was given; leave the option out to go on as before, or start "
                        "a new model under another name",
                        printable(where).c_str(), field.name, text_of(saved, field.member).c_str(),
                        text_of(now, field.member).c_str());
                merged.*member = now.*member;
            },
            field.member);
    }
    return merged;
}

}  // namespace nib

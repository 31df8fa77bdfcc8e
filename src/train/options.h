// Every option of a training run in one place: defaults, help, checks, and how it is stored in NAME.state.gguf.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <variant>

#include "io/gguf.h"
#include "model/config.h"
#include "task/task.h"
#include "text/tokenized_text.h"
#include "train/memory.h"
#include "train/schedule.h"

namespace nib {

struct TrainOptions {
    std::string arch = "gpt2";
    std::string task;       // default: what the architecture is for
    std::string tokenizer;  // as of choose_tokenizer(); empty: the characters of the text, without documents
    std::string documents = "files";
    std::string freeze;      // as of frozen_parameters()
    std::string add_tokens;  // as of parse_marks(); empty: none
    int64_t lora = 0;        // rank of adapters, 0: the model itself is trained
    double lora_alpha = 0, lora_dropout = 0;
    std::string lora_targets = "all";
    std::string chat_template;  // of dialogues, by name; empty: the model's
    bool skip_bad = false;
    std::string text_column, second_column,
        label_column;                         // of texts with labels: names or numbers; empty: see LabelColumns
    bool header = false, no_header = false;   // neither: as of TableReader
    bool multi_label = false;                 // of classes: a text has any number of them
    std::string label_separator = ",";        // between them
    std::string class_weights;                // as of parse_class_weights()
    double temperature = 0.05;                // of embeddings
    double min_score = 0;                     // of pairs to learn embeddings from, unless 0
    int64_t stride = 0;                       // of questions: WindowOptions
    std::string preference_loss = "sigmoid";  // of dpo
    double beta = 0.1, preference_smoothing = 0;
    std::string reward, reward_command, reward_regex, reward_match, reward_weights;  // of policies: RewardOptions
    double reward_timeout = 60;
    int64_t reward_length = 0;
    int64_t group = 8, rollouts = 64, rollout_epochs = 1, longest_answer = 64;  // PolicyChoices
    std::string answer_end;
    double epsilon = 0.2, epsilon_high = 0, kl = 0, kl_target = 0, kl_limit = 100, entropy = 0;
    double vf_coef = 0.1, value_clip = 0.2, discount = 1, lam = 0.95;  // of ppo
    double reward_clip = 0, missing_eos_penalty = 0;
    std::string ptx;  // a text
    double ptx_coef = 1;
    std::string loss_norm, scale_rewards, baseline;  // empty: the task's usual ones
    std::string metric;                              // the score that decides; empty: the task's first
    bool isolate = false, nsp = false, whole_words = false;
    int64_t layers = 4, heads = 4, embd = 128, context = 64;
    int64_t kv_heads = 0, ffn = 0, encoder_layers = 0;  // 0: the default of the architecture
    bool norm_first = false;
    std::string attention;  // full or alternate; empty: the default of the architecture
    int64_t window = 0;     // of alternate; 0: the default
    bool untied = false;

    int64_t iters = 3500, batch = 16, accumulate = 1;
    double epochs = 0;  // instead of iters, unless 0
    bool recompute = false;
    double dropout = 0, token_dropout = 0, label_smoothing = 0, lm_weight = 0;
    int64_t seed = 1337;
    double val_fraction = 0.1;

    std::string schedule = "cosine";
    double lr = 0;            // default: 0.4 / embd, at most 0.003, times Architecture::lr_scale
    double min_lr = 0;        // default: lr / 10
    int64_t decay_iters = 0;  // default: iters
    int64_t warmup = 0;       // default: a tenth of decay_iters, at most 100
    int64_t step_size = 1000;
    double gamma = 0.5;
    double layer_decay = 1;  // of a model to start from: ParameterLayout::Run::lr_scale

    std::string optimizer = "adamw";
    double beta1 = 0.9, beta2 = 0.99, momentum = 0.9, clip = 1;
    double adam_eps = 1e-8;     // default of adagrad: 1e-10
    double weight_decay = 0.1;  // default of all but adamw: 0

    int64_t eval_every = 250, eval_tokens = 100000, patience = 0;
    int64_t save_every = 0;  // default: eval_every
    int64_t average = 0;     // checkpoints whose mean is made at the end; 0: none
    int64_t sample_every = 0;
    std::string sample_prompt;
    int64_t log_every = 50;
    std::string tensorboard;  // a folder; empty: none

    Schedule learning_rate() const;
    /// The model that the options ask for. UsageError for an unknown architecture or negative sizes.
    ModelConfig config(int64_t vocab) const;
    bool operator==(const TrainOptions&) const = default;
};

/// The adapters that the options ask for, if any.
LoraConfig lora_of(const TrainOptions& options);

/// What the options say of the task.
TaskChoices task_choices(const TrainOptions& options);

/// Where the documents of texts end, from the (checked) options.
DocumentEnds document_ends(const TrainOptions& options);

/// The optimizer that the (checked) options ask for.
Optimizer optimizer_of(const TrainOptions& options);

/// What the command line, the state file and the check of resumed runs need to know about an option.
struct OptionField {
    enum class Kind {
        Model,  // in the model file; a resumed run must have the same
        Fixed,  // in the state file; must also be the same, since other values give other weights
        Free,   // in the state file; a resumed run may change it
    };
    using Member =
        std::variant<int64_t TrainOptions::*, double TrainOptions::*, bool TrainOptions::*, std::string TrainOptions::*>;
    const char* name;  // "lr"
    Kind kind;
    Member member;
    const char* group;
    std::string help;
};
std::span<const OptionField> option_fields();

/// Names of the options that the user gave, as opposed to defaults.
using GivenOptions = std::set<std::string>;

/// Takes over what a preset says, except for what is given; what it says is given then.
void take_preset(const Preset& preset, TrainOptions& options, GivenOptions& given);

/// Fills in the defaults that depend on other options. UsageError for an unknown architecture.
void resolve_defaults(TrainOptions& options, const GivenOptions& given);

/// Takes the sizes and forms of a model to start from, and the defaults of such a training. UsageError for a given option
/// that is the model's to say.
void start_from(const ModelConfig& config, TrainOptions& options, const GivenOptions& given);

/// UsageError that names the first option whose value is impossible. Sizes of the model are checked elsewhere
/// (check_memory, check_config).
void check_options(const TrainOptions& options);

/// Keys "nib.train.*" of a state file, and back. `config` fills in the model's sizes.
void write_options(GgufWriter& file, const TrainOptions& options);
TrainOptions read_options(const GgufFile& file, const ModelConfig& config);

/// Options of a resumed run: the file's, with those of the given ones that may change. Error that names the option and both
/// values when a given one differs and may not. `where` is the state file's name.
TrainOptions merge_options(const TrainOptions& saved, const TrainOptions& now, const GivenOptions& given,
                           const std::string& where);

}  // namespace nib

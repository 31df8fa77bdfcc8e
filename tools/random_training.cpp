#include "random_training.h"

#include <algorithm>

#include "core/philox.h"
#include "io/memory_limit.h"
#include "options.h"
#include "task/masked_rows.h"
#include "task/task.h"

namespace nib {
namespace {

constexpr const char* kGroup = "Training";

TrainShape checked_shape(const Backend& backend, const TrainingSizes& sizes) {
    TrainOptions o = sizes.options;
    resolve_defaults(o, {});
    check_options(o);
    TrainShape shape;
    shape.batch = o.batch;
    shape.time = o.context;
    shape.dropout = static_cast<float>(o.dropout);
    shape.objectives = task_objectives(o.task);
    shape.recompute = o.recompute;
    shape.activations = float_type(sizes.activations);
    check_memory(o.config(sizes.vocab), shape, backend, memory_limit());
    return shape;
}

}  // namespace

void add_training_sizes(CLI::App& app, TrainingSizes& sizes, CLI::Option* train) {
    TrainOptions& o = sizes.options;
    const auto size = [&](const char* flag, int64_t& value, const char* help) {
        return app.add_option(flag, value, help)
            ->transform(whole_number())
            ->needs(train)
            ->type_name("N")
            ->capture_default_str()
            ->group(kGroup);
    };
    // Options take effect in the order in which they are declared: single sizes replace those of the preset.
    app.add_option_function<std::string>(
           "--preset",
           [&o](const std::string& name) {
               GivenOptions none;
               take_preset(find_preset(name), o, none);
           },
           "sizes by name, as in `nib train`")
        ->needs(train)
        ->type_name("NAME")
        ->group(kGroup);
    app.add_option("--arch", o.arch, "as in `nib train`")
        ->needs(train)
        ->type_name("NAME")
        ->capture_default_str()
        ->group(kGroup);
    size("--layers", o.layers, "layers");
    size("--heads", o.heads, "attention heads");
    size("--kv-heads", o.kv_heads, "heads of keys and values; 0: as is usual for the architecture");
    size("--embd", o.embd, "channels");
    size("--ffn", o.ffn, "width of the feed-forward layers; 0: as is usual");
    app.add_option("--attention", o.attention, "full or alternate (default: as is usual for the architecture)")
        ->needs(train)
        ->type_name("NAME")
        ->group(kGroup);
    size("--window", o.window, "alternate: tokens in the window; 0: 256");
    size("--vocab", sizes.vocab, "size of the vocabulary");
    size("--context", o.context, "tokens in a sequence");
    size("--batch", o.batch, "sequences in a step");
    size("--iters", o.iters, "steps");
    app.add_option("--dropout", o.dropout, "dropout probability")
        ->transform(real_number())
        ->needs(train)
        ->type_name("X")
        ->capture_default_str()
        ->group(kGroup);
    add_activations_option(app, sizes.activations)->needs(train)->group(kGroup);
    app.add_flag("--untied", o.untied, "as in `nib train`")->needs(train)->group(kGroup);
    app.add_flag("--recompute", o.recompute, "as in `nib train`")->needs(train)->group(kGroup);
}

RandomTraining::RandomTraining(Backend& backend, const TrainingSizes& sizes)
    : train_(backend, sizes.options.config(sizes.vocab), checked_shape(backend, sizes)),
      clip_(sizes.options.clip),
      ids_(static_cast<size_t>(train_.rows())),
      targets_(ids_.size()) {
    if (!config().has_encoder()) return;
    source_.resize(ids_.size());
    source_lengths_.assign(static_cast<size_t>(train_.shape().batch), static_cast<int32_t>(train_.shape().time));
}

void RandomTraining::draw() {
    const auto vocab = static_cast<uint32_t>(config().vocab);
    for (uint32_t r = 0; r < ids_.size(); ++r) {
        const auto random = philox({r, batches_, 0, 0}, 1);
        ids_[r] = static_cast<int32_t>(random[0] % vocab);
        targets_[r] = static_cast<int32_t>(random[1] % vocab);
        if (!source_.empty()) source_[r] = static_cast<int32_t>(random[2] % vocab);
    }
    if (train_.shape().objectives[0].sparse()) {
        const int32_t mask = static_cast<int32_t>(vocab) - 1;
        MaskedRows(1, mask, mask).mask(batches_, 0, ids_, targets_);
    }
    ++batches_;
}

double RandomTraining::step() {
    const uint32_t index = batches_ - 1;
    const TrainStep::Update update{
        .step = index, .lr = 5e-4, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8};
    return train_.last_micro_step(ids_, targets_, {.seed = 1, .index = index, .source = source()}, clip_, update).loss;
}

double RandomTraining::evaluate() {
    const LossSum loss = train_.evaluate(ids_, targets_, source());
    return loss.sum / static_cast<double>(std::max<int64_t>(loss.rows, 1));
}

}  // namespace nib

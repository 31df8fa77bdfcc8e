// The table of families: a new one is a file or two of its own and one row in architecture.cpp.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint_format.h"
#include "model/model.h"

namespace nib {

/// A head that a family may have, and the parameter that is there if a model has it, with a row for each output.
struct HeadTensor {
    const char *name, *tensor;
};

struct Architecture {
    const char* name;   // in GGUF, where it is also the prefix of its keys, and for the user
    const char* title;  // in messages, as people write it
    std::unique_ptr<Model> (*make)(const ModelConfig& config);
    /// Sets all but the sizes: what the family has where nothing else is said.
    void (*defaults)(ModelConfig& config);
    /// Fills in the sizes that are 0 and follow from others. UsageError for what the family does not have.
    void (*complete)(ModelConfig& config);
    /// The metadata keys beside those that all families share (model/config.cpp).
    void (*read)(const GgufFile& file, ModelConfig& config);
    void (*write)(GgufWriter& file, const ModelConfig& config);
    /// Why llama.cpp does not run such a model; null: it does. A null pointer: it runs all of them.
    const char* (*beyond_llama_cpp)(const ModelConfig& config);
    const CheckpointFormat* checkpoints;     // null: no other program saves such models
    bool may_be_local = false;               // whether layers may attend within a window
    bool has_encoder = false;                // that reads a source, beside the decoder
    bool encoder_only = false;               // texts are read as a whole; there is no next token
    std::span<const HeadTensor> heads = {};  // those of ModelConfig::task_heads
    /// Tensors of a file that are not parameters, such as factors that `read` looks at.
    std::span<const std::string_view> other_tensors = {};
    /// Of the default learning rate: smaller where norms come after the sums, which large steps upset.
    double lr_scale = 1;
};

std::span<const Architecture* const> architectures();
/// nullptr when there is none of that name.
const Architecture* find_architecture(const std::string& name);
/// That of a configuration. Error when there is none.
const Architecture& architecture_of(const ModelConfig& config);
/// "openai-gpt, gpt2, ..."
std::string architecture_names();

/// The model of a (checked) configuration.
std::unique_ptr<Model> make_model(const ModelConfig& config);
/// Its parameters, in file order.
std::vector<ParameterSpec> model_parameters(const ModelConfig& config);

/// Weights of a model, each where `place` says.
Weights place_weights(const ModelConfig& config, const std::function<Weight(const ParameterSpec&)>& place);

}  // namespace nib

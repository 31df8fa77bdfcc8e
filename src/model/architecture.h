// The table of families: a new one is its own file and one row here.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/model.h"

namespace nib {

struct Architecture {
    const char* name;  // in GGUF, where it is also the prefix of its keys, and for the user
    std::unique_ptr<Model> (*make)(const ModelConfig& config);
    /// Makes the sizes that a user gives for a new model a whole configuration. UsageError for what the family has not.
    void (*complete)(ModelConfig& config);
    /// The metadata keys beside those that all families share (model/config.cpp).
    void (*read)(const GgufFile& file, ModelConfig& config);
    void (*write)(GgufWriter& file, const ModelConfig& config);
};

std::span<const Architecture> architectures();
/// nullptr when there is none of that name.
const Architecture* find_architecture(const std::string& name);
/// "gpt2, llama"
std::string architecture_names();

/// The model of a (checked) configuration.
std::unique_ptr<Model> make_model(const ModelConfig& config);
/// Its parameters, in file order.
std::vector<ParameterSpec> model_parameters(const ModelConfig& config);

/// Weights of a model, each where `place` says.
Weights place_weights(const ModelConfig& config, const std::function<Weight(const ParameterSpec&)>& place);

// The families, each in its own file.
std::unique_ptr<Model> make_gpt2(const ModelConfig& config);
void complete_gpt2(ModelConfig& config);
void read_gpt2(const GgufFile& file, ModelConfig& config);
void write_gpt2(GgufWriter& file, const ModelConfig& config);
std::unique_ptr<Model> make_llama(const ModelConfig& config);
void complete_llama(ModelConfig& config);
void read_llama(const GgufFile& file, ModelConfig& config);
void write_llama(GgufWriter& file, const ModelConfig& config);

}  // namespace nib

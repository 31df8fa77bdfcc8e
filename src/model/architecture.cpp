#include "model/architecture.h"

#include "core/error.h"

namespace nib {
namespace {

constexpr Architecture kArchitectures[] = {
    {"gpt2",  make_gpt2,  complete_gpt2,  read_gpt2,  write_gpt2 },
    {"llama", make_llama, complete_llama, read_llama, write_llama},
};

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

const Architecture* find_architecture(const std::string& name) {
    for (const Architecture& architecture : kArchitectures)
        if (name == architecture.name) return &architecture;
    return nullptr;
}

std::string architecture_names() {
    std::string names;
    for (const Architecture& architecture : kArchitectures)
        names += (names.empty() ? "" : ", ") + std::string(architecture.name);
    return names;
}

std::unique_ptr<Model> make_model(const ModelConfig& config) {
    const Architecture* const architecture = find_architecture(config.arch);
    CHECK(architecture != nullptr);
    return architecture->make(config);
}

std::vector<ParameterSpec> model_parameters(const ModelConfig& config) {
    const auto model = make_model(config);
    return {model->parameters().begin(), model->parameters().end()};
}

Weights place_weights(const ModelConfig& config, const std::function<Weight(const ParameterSpec&)>& place) {
    std::vector<Weight> weights;
    for (const ParameterSpec& spec : model_parameters(config)) weights.push_back(place(spec));
    return Weights(std::move(weights));
}

}  // namespace nib

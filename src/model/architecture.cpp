#include "model/architecture.h"

#include "core/error.h"
#include "model/families.h"

namespace nib {
namespace {

constexpr const Architecture* kArchitectures[] = {&kGpt1,  &kGpt2,  &kGpt3, &kGptNeo,
                                                  &kLlama, &kQwen2, &kBert, &kTransformer};

}  // namespace

std::span<const Architecture* const> architectures() { return kArchitectures; }

const Architecture* find_architecture(const std::string& name) {
    for (const Architecture* architecture : kArchitectures)
        if (name == architecture->name) return architecture;
    return nullptr;
}

std::string architecture_names() {
    std::string names;
    for (const Architecture* architecture : kArchitectures)
        names += (names.empty() ? "" : ", ") + std::string(architecture->name);
    return names;
}

const Architecture& architecture_of(const ModelConfig& config) {
    const Architecture* const architecture = find_architecture(config.arch);
    if (architecture == nullptr)
        fail("there is no architecture `%s`; nib knows %s", printable(config.arch).c_str(), architecture_names().c_str());
    return *architecture;
}

std::unique_ptr<Model> make_model(const ModelConfig& config) { return architecture_of(config).make(config); }

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

#include "model/adapter.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "model/architecture.h"

namespace nib {
namespace {

constexpr int64_t kMaxRank = 1 << 16;

bool has(const std::vector<std::string>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

std::string target_name(std::string_view name) {
    constexpr std::string_view kEncoder = "enc.", kBlock = "blk.", kWeight = ".weight";
    if (!name.ends_with(kWeight)) return "";
    name.remove_suffix(kWeight.size());
    if (name.starts_with(kEncoder)) name.remove_prefix(kEncoder.size());
    if (!name.starts_with(kBlock)) return "";
    const size_t end = name.find('.', kBlock.size());
    return end == name.npos ? "" : std::string(name.substr(end + 1));
}

bool is_lora_target(const ParameterSpec& spec) { return spec.shape.rank == 2 && !target_name(spec.name).empty(); }

std::vector<std::string> lora_targets(const ModelConfig& config) {
    std::vector<std::string> targets;
    for (const ParameterSpec& spec : model_parameters(config))
        if (is_lora_target(spec) && !has(targets, target_name(spec.name))) targets.push_back(target_name(spec.name));
    return targets;
}

std::vector<LoraParameter> lora_parameters(const ModelConfig& config, const LoraConfig& lora) {
    if (lora.rank == 0) return {};
    if (lora.rank < 0 || lora.rank > kMaxRank)
        fail("the rank of an adapter is %lld; it must be from 1 to %lld", static_cast<long long>(lora.rank),
             static_cast<long long>(kMaxRank));
    if (!(lora.alpha >= 0 && std::isfinite(lora.alpha)))
        fail("the alpha of an adapter is %g; it must be positive, or 0 for the rank", lora.alpha);
    const std::vector<std::string> known = lora_targets(config);
    const bool all = lora.targets.empty() || has(lora.targets, "all");
    for (const std::string& target : lora.targets) {
        if (target == "all" || has(known, target)) continue;
        std::string names;
        for (const std::string& name : known) names += ", " + name;
        fail("the model has no linear layers `%s`; it has all%s", printable(target, 60).c_str(), names.c_str());
    }
    std::vector<LoraParameter> list;
    const std::vector<ParameterSpec> specs = model_parameters(config);
    for (size_t i = 0; i < specs.size(); ++i) {
        if (!is_lora_target(specs[i]) || !(all || has(lora.targets, target_name(specs[i].name)))) continue;
        const int64_t N = specs[i].shape[0], C = specs[i].shape[1];
        LoraParameter pair{i, {}, {}};
        pair.a.name = specs[i].name + ".lora_a", pair.b.name = specs[i].name + ".lora_b";
        pair.a.shape = {lora.rank, C}, pair.b.shape = {N, lora.rank};
        pair.a.init = ParameterSpec::Init::Uniform;
        pair.a.std = 1 / std::sqrt(static_cast<float>(C));
        pair.a.decay = pair.b.decay = true;
        list.push_back(std::move(pair));
    }
    return list;
}

}  // namespace nib

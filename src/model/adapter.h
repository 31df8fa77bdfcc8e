// LoRA (Hu et al. 2021): pairs of narrow matrices beside those of a model's blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/parameters.h"

namespace nib {

struct LoraConfig {
    int64_t rank = 0;                    // r; 0: there are no adapters
    double alpha = 0;                    // they count alpha / r times; 0: once
    double dropout = 0;                  // of what goes into them, in training
    std::vector<std::string> targets{};  // which matrices of every block have one: "attn_q"; none, or "all": all

    explicit operator bool() const { return rank > 0; }
    float scale() const { return alpha > 0 ? static_cast<float>(alpha / static_cast<double>(rank)) : 1.0f; }
};

/// The two matrices beside a parameter (N,C), named as llama.cpp names them: "blk.0.attn_q.weight.lora_a".
struct LoraParameter {
    size_t parameter;    // in file order
    ParameterSpec a, b;  // (r,C), uniform with bound 1 / sqrt(C) as PEFT begins; (N,r), zero
};

/// Whether a parameter can have an adapter: it is the matrix of a linear layer of a block.
bool is_lora_target(const ParameterSpec& spec);

/// "attn_q" of "blk.3.attn_q.weight", also of an encoder's; empty: it is none of a block.
std::string target_name(std::string_view parameter);

/// What can be a target in a model: the linear layers of its blocks, each name once.
std::vector<std::string> lora_targets(const ModelConfig& config);

/// In file order; none of a rank of 0. Error for sizes that make no sense, and for a target that the model does not have,
/// naming those it has.
std::vector<LoraParameter> lora_parameters(const ModelConfig& config, const LoraConfig& lora);

}  // namespace nib

// Adapters as files: llama.cpp's GGUF with general.type = "adapter", which names the model it belongs to.
//
//   general.architecture, general.type = "adapter", adapter.type = "lora", adapter.lora.alpha
//   general.base_model.count = 1, general.base_model.0.name
//   nib.adapter.base        u64, base_fingerprint() of the model it was trained on
//   nib.adapter.head_size   u32, numbers of a head, which say how PEFT orders the rows of queries and keys
//   PARAMETER.lora_a (r,C), PARAMETER.lora_b (N,r)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "model/adapter.h"

namespace nib {

/// Says whether the model of an adapter is this one, whatever type its matrices have: a hash of the parameters' names and
/// shapes and of the numbers in its norms and biases, which every type leaves as they are.
uint64_t base_fingerprint(const ModelConfig& config, const GgufFile& base);

/// What an adapter's file says beside its tensors.
struct AdapterKeys {
    std::string arch;       // of the model
    double alpha = 0;       // LoraConfig::alpha
    std::string base;       // the model's name; empty: not known
    int64_t head_size = 0;  // 0: not known
    std::optional<uint64_t> fingerprint{};
};
/// Those of an adapter of `lora` on the model in `base`.
AdapterKeys adapter_keys(const ModelConfig& config, const LoraConfig& lora, const GgufFile& base);
void write_adapter_keys(GgufWriter& file, const AdapterKeys& keys);

/// A matrix (N,C) that an adapter is for.
struct AdaptedMatrix {
    std::string parameter;  // "blk.0.attn_q.weight"
    int64_t N, C;
};
/// All that keeps an adapter of a model of family `arch` from being one of this configuration, on one line; empty if
/// nothing does.
std::string adapter_mismatches(const std::string& arch, std::span<const AdaptedMatrix> matrices, const ModelConfig& config);

/// An adapter and how much of it is wanted.
struct AdapterChoice {
    std::string path;
    float scale = 1;
};

class AdapterFile {
public:
    struct Pair {
        std::string parameter;    // "blk.0.attn_q.weight"
        const GgufTensor *a, *b;  // (r,C), (N,r)
        int64_t rank() const { return a->shape[0]; }
    };

    /// Whether it says that it is an adapter, of any kind.
    static bool is_adapter(const GgufFile& file);
    /// Error, naming the file and the tensor, unless it is a LoRA adapter whose tensors are pairs that fit each other.
    explicit AdapterFile(GgufFile file);

    const GgufFile& file() const { return file_; }
    const AdapterKeys& keys() const { return keys_; }
    const std::vector<Pair>& pairs() const { return pairs_; }
    /// What a pair's product counts.
    float scale(const Pair& pair) const;

    /// Error with all that keeps it from being one of this model's, unless it is.
    void check_base(const ModelConfig& config, const GgufFile& base) const;
    /// Adds it to the model's weights, `scale` times; the bytes of its file are buffer `buffer`. After check_base().
    void attach(Weights& weights, const ModelConfig& config, int buffer, float scale) const;

private:
    GgufFile file_;
    AdapterKeys keys_;
    std::vector<Pair> pairs_;
};

}  // namespace nib

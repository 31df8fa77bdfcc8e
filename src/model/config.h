// The size and shape of a GPT model, from a preset, from options or from a GGUF file.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/op.h"
#include "io/gguf.h"

namespace nib {

/// GPT-2 (Radford et al. 2019): pre-norm transformer decoder with learned positions.
struct GptConfig {
    int64_t layers = 6;     // L
    int64_t heads = 6;      // H; divides embd
    int64_t embd = 192;     // C, channels
    int64_t context = 128;  // S, the longest sequence
    int64_t vocab = 0;      // V
    int64_t ffn = 0;        // F, feed-forward width; 0: 4 * embd
    float eps = 1e-5f;      // of the layer norms
    Act act = Act::GeluTanh;
    bool tied = true;  // the output head is the token embedding

    int64_t feed_forward() const { return ffn > 0 ? ffn : 4 * embd; }
    bool operator==(const GptConfig&) const = default;
};

/// minGPT's names for sizes.
struct Preset {
    const char* name;
    int64_t layers, heads, embd;
};
std::span<const Preset> presets();
/// UsageError that lists the names when there is no such preset.
const Preset& find_preset(const std::string& name);

/// UsageError when a size is zero, too large to count, or the heads do not divide the channels.
void check_config(const GptConfig& config);

/// Number of trained values.
int64_t parameter_count(const GptConfig& config);

/// From and to the metadata keys that llama.cpp uses for architecture "gpt2". Reading throws Error for another
/// architecture, a missing key or a size that makes no sense.
GptConfig read_config(const GgufFile& file);
void write_config(GgufWriter& file, const GptConfig& config, const std::string& name);

}  // namespace nib

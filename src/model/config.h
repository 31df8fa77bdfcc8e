// The size and shape of a model, from a preset, from options or from a GGUF file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/op.h"
#include "io/gguf.h"

namespace nib {

/// Rotary positions (Su et al. 2021): pair i of a head's numbers turns by position / base^(2 i / dimensions).
struct RopeConfig {
    enum class Scaling {
        None,
        Linear,  // positions divided by `factor` (Chen et al. 2023)
        Llama3,  // slow pairs divided by it, fast ones not, those between in proportion (Llama 3.1)
    };
    int64_t dimensions = 0;    // of each head that turn; 0: the model has learned positions instead
    bool interleaved = false;  // pairs are neighbours, as in GGUF's Llama; else halves, as in Hugging Face's
    float base = 10000;
    Scaling scaling = Scaling::None;
    float factor = 1, low_frequency = 1, high_frequency = 4;  // the last two of Llama 3
    int64_t original_context = 0;                             // that it was trained with before
    bool operator==(const RopeConfig&) const = default;
};

/// How far back the layers of a decoder look, and how they scale their scores.
struct AttentionConfig {
    int64_t window = 0;            // keys that a query of a local layer sees, its own the last; 0: no layer is local
    std::vector<bool> local{};     // which layers are; empty, where there is a window: as is usual in the family
    float scale = 0;               // of the scores; 0: 1 / sqrt(D)
    bool divide_by_layer = false;  // the scores of layer l, counted from 0, are divided by l + 1 as well

    /// 0: the layer sees all keys.
    int64_t window_of(size_t layer) const { return window > 0 && local[layer] ? window : 0; }
    bool operator==(const AttentionConfig&) const = default;
};
/// How one vector is made of the hidden states of a text.
enum class Pooling { None, Mean, Cls, Last, Max };
/// "mean"; None: "none".
const char* pooling_name(Pooling pooling);
/// Error that lists the names when there is no such pooling.
Pooling find_pooling(const std::string& name);

/// A head that a model has beside or instead of that of a language model (Model::heads).
struct HeadConfig {
    std::string name;                 // "class"
    int64_t outputs = 0;              // N, logits of a row
    std::vector<std::string> labels;  // what they stand for, N of them; none where the name says it
    bool multi_label = false;         // of "class": a text has any number of them, each by the sigmoid of its logit
    bool may_be_none = false;  // of spans: the model has learned that a text may have none, which its first token says
    bool operator==(const HeadConfig&) const = default;
};
/// transformers' names of classes that have none: "LABEL_0", ...
std::vector<std::string> default_labels(int64_t count);
struct ModelConfig;
/// Gives such names to classes that have none.
void name_labels(ModelConfig& config);

/// What a model with an encoder beside its decoder lets vary (Vaswani et al. 2017).
struct EncoderDecoderConfig {
    bool pre_norm = false;        // norms before each layer's parts and at the end, not after each sum
    bool scale_embedding = true;  // token embeddings times sqrt(C)
    bool head_bias = false;       // added to the logits
    int64_t start = 0;            // the token that the decoder begins with
    int64_t first_position = 0;   // whose sinusoid the first token has
    bool slowest_is_base =
        false;  // the slowest sinusoid turns by 1/10000 a position (tensor2tensor), not 10000^(2/C) times that
    bool operator==(const EncoderDecoderConfig&) const = default;
};

/// A model's sizes and what its family lets vary. Sizes of 0 say: as is usual.
struct ModelConfig {
    std::string arch = "gpt2";   // of model/architecture.h
    int64_t layers = 6;          // L, of the decoder where there is an encoder
    int64_t encoder_layers = 0;  // 0: the model has no encoder
    int64_t heads = 6;           // H
    int64_t kv_heads = 0;        // G, divides H; 0: H
    int64_t embd = 192;          // C, channels
    int64_t head_size = 0;       // D; 0: C/H, which H then divides
    int64_t context = 128;       // the longest sequence
    int64_t vocab = 0;           // V
    int64_t source_vocab = 0;    // of an embedding of the encoder's own; 0: it has the decoder's
    int64_t ffn = 0;             // F, feed-forward width; 0: 4 C
    float eps = 1e-5f;           // of the norms
    Act act = Act::GeluTanh;
    bool tied = true;  // the output head is the token embedding
    bool qkv_bias = true, output_bias = true, ffn_bias = true;
    RopeConfig rope{};
    AttentionConfig attention{};
    int64_t segments = 0;  // rows of the segment embedding (token types); 0: the model has none
    bool pooler = false;   // a dense layer with tanh over the first row, which heads for whole texts work on
    std::vector<HeadConfig> task_heads{};
    Pooling pooling = Pooling::None;  // as the model was trained for embeddings; None: for something else
    bool normalize = false;           // such an embedding has length 1
    int64_t longest_text = 0;         // tokens of a text to embed, with those around it; 0: as many as the context
    EncoderDecoderConfig encoder_decoder{};

    int64_t feed_forward() const { return ffn > 0 ? ffn : 4 * embd; }
    bool has_encoder() const { return encoder_layers > 0; }
    int64_t source_tokens() const { return source_vocab > 0 ? source_vocab : vocab; }
    int64_t kv() const { return kv_heads > 0 ? kv_heads : heads; }
    int64_t head_dim() const { return head_size > 0 ? head_size : embd / heads; }
    /// nullptr when there is no such head among task_heads.
    const HeadConfig* find_head(std::string_view name) const;
    bool operator==(const ModelConfig&) const = default;
};

/// A name for sizes: minGPT's, and those of GPT-3's paper.
struct Preset {
    const char* name;
    int64_t layers, heads, embd;
    const char* arch = nullptr;  // null: any
    int64_t context = 0;         // 0: any, as in all of minGPT's
};
std::span<const Preset> presets();
/// UsageError that lists the names when there is no such preset.
const Preset& find_preset(const std::string& name);

/// UsageError when a size is zero, too large to count, or the heads do not divide the channels.
void check_config(const ModelConfig& config);

/// Makes every second layer local, from the second on, where there is a window and nothing else is said.
void complete_attention(ModelConfig& config);

/// Number of trained values.
int64_t parameter_count(const ModelConfig& config);

/// The activation in a key of nib's own, which is there where it is not that of llama.cpp's models of the family.
Act read_activation(const GgufFile& file, Act usual);
void write_activation(GgufWriter& file, Act act, Act usual);

/// From and to the metadata keys that llama.cpp uses for the architecture. Reading throws Error for an architecture that is
/// not known, a missing key or a size that makes no sense.
ModelConfig read_config(const GgufFile& file);
void write_config(GgufWriter& file, const ModelConfig& config, const std::string& name);

/// ModelConfig::attention, for families that have such keys. What a file does not say stays as it is.
void read_attention(const GgufFile& file, ModelConfig& config);
void write_attention(GgufWriter& file, const ModelConfig& config);

}  // namespace nib

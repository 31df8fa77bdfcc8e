// The parameters of GPT-2 as Hugging Face's `transformers` names and stores them (and nanoGPT, minGPT and makemore, who
// took the names from there), beside those of GGUF files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nib {

/// "blk.3.attn_qkv.weight" is "h.3.attn.c_attn.weight" there, without the prefix "transformer." that all but the head have.
std::string hf_name(std::string_view gguf_name);

/// A checkpoint's name for a tensor without whatever wrappers put before it: "_orig_mod.", "module.", "model.",
/// "transformer.".
std::string_view without_prefixes(std::string_view name);

/// The number of the block that a tensor belongs to ("h.3.ln_1.bias": 3), -1 outside the blocks.
int32_t hf_block(std::string_view hf_name);

/// Whether this is a buffer that holds a constant instead of trained values: attention masks.
bool is_constant_buffer(std::string_view hf_name);

/// Whether Hugging Face stores this parameter transposed, inputs by outputs (its Conv1D): the matrices in the blocks.
bool is_conv1d(std::string_view gguf_name);

}  // namespace nib

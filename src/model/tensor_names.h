// The names of tensors in GGUF files that more than one place asks for.
#pragma once

namespace nib {

inline constexpr const char* kEmbedding = "token_embd.weight";            // (V,C)
inline constexpr const char* kSourceEmbedding = "enc.token_embd.weight";  // an encoder's own
inline constexpr const char* kHead = "output.weight";                     // (V,C); not there if it is the embedding
inline constexpr const char* kHeadBias = "output.bias";                   // (V)

}  // namespace nib

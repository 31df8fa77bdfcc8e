// The shaders of shaders/, compiled into the binary.
#pragma once

#include <cstdint>
#include <span>

namespace nib::vulkan {

struct Shader {
    std::span<const uint8_t> code;  // SPIR-V, words as numbers of 7 bits a byte, the lowest first; the last has bit 7 clear
    unsigned tensors = 0;           // bit i: it has a binding i + 1 for tensor i; inputs are 0 to 4, outputs 5 to 7
    unsigned texels = 0;            // bit i: which is a texel buffer, of floats
};

/// Takes the first word of a shader's code.
constexpr uint32_t take_word(std::span<const uint8_t>& code) {
    uint32_t word = 0;
    for (unsigned shift = 0;; shift += 7) {
        const uint8_t byte = code.front();
        code = code.subspan(1);
        word |= (byte & 127u) << shift;
        if (byte < 128) return word;
    }
}

extern const Shader kAdamW;
extern const Shader kAttention;
extern const Shader kAttentionBackward;
extern const Shader kAttentionBackwardKeys;
extern const Shader kAttentionBackwardKeysTexels;
extern const Shader kAttentionBackwardTexels;
extern const Shader kAttentionCached;
extern const Shader kAttentionMask;
extern const Shader kAttentionStore;
extern const Shader kAttentionTexels;
extern const Shader kClipFactor;
extern const Shader kCrossEntropy;
extern const Shader kEmbed;
extern const Shader kEmbedBackward;
extern const Shader kEmbedBackwardClear;
extern const Shader kEmbedBackwardLinks;
extern const Shader kGatherRows;
extern const Shader kLinear;
extern const Shader kLinearBackward;
extern const Shader kLinearBackwardEpilogue;
extern const Shader kLinearBackwardEpilogueTexels;
extern const Shader kLinearBackwardTexels;
extern const Shader kLinearBackwardWeight;
extern const Shader kLinearBackwardWeightTexels;
extern const Shader kLinearEpilogue;
extern const Shader kLinearFewRows;
extern const Shader kLinearTexels;
extern const Shader kNorm;
extern const Shader kNormTexels;
extern const Shader kNormBackward;
extern const Shader kNormBackwardTexels;
extern const Shader kNormBackwardWeight;
extern const Shader kNormBackwardWeightSum;
extern const Shader kNormBackwardWeightTexels;
extern const Shader kQuantizeRows;
extern const Shader kPeak;
extern const Shader kCopy;
extern const Shader kSgd;
extern const Shader kSumSquares;

}  // namespace nib::vulkan

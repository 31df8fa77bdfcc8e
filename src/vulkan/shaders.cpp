#include "vulkan/shaders.h"

#include <iterator>

namespace nib::vulkan {
namespace {

// Of SPIR-V's numbers.
constexpr uint32_t kHeaderWords = 5, kVariable = 59, kDecorate = 71, kBinding = 33, kUniformConstant = 0;

// A shader with what its code says of bindings: `OpDecorate id Binding number`, and of those of texels alone later
// `OpVariable type id UniformConstant`.
consteval Shader shader(std::span<const uint8_t> code) {
    Shader s{code};
    uint32_t ids[8] = {};  // of the tensors' variables
    std::span<const uint8_t> rest = code;
    for (uint32_t i = 0; i < kHeaderWords; ++i) take_word(rest);
    while (!rest.empty()) {
        const uint32_t first = take_word(rest), op = first & 0xFFFF, length = first >> 16;
        uint32_t words[3] = {};
        for (uint32_t i = 1; i < length; ++i) {
            const uint32_t word = take_word(rest);
            if (i <= 3) words[i - 1] = word;
        }
        if (op == kDecorate && words[1] == kBinding && words[2] > 0) {
            s.tensors |= 1u << (words[2] - 1);
            ids[words[2] - 1] = words[0];
        }
        if (op == kVariable && words[2] == kUniformConstant)
            for (uint32_t i = 0; i < std::size(ids); ++i)
                if (ids[i] == words[1]) s.texels |= 1u << i;
    }
    return s;
}

// As the build compiled them.
constexpr uint8_t kAdamWCode[] = {
#include "shaders/adamw.inc"
};
constexpr uint8_t kAttentionCode[] = {
#include "shaders/attention.inc"
};
constexpr uint8_t kAttentionBackwardCode[] = {
#include "shaders/attention_backward.inc"
};
constexpr uint8_t kAttentionBackwardKeysCode[] = {
#include "shaders/attention_backward_keys.inc"
};
constexpr uint8_t kAttentionBackwardKeysTexelsCode[] = {
#include "shaders/attention_backward_keys_texels.inc"
};
constexpr uint8_t kAttentionBackwardTexelsCode[] = {
#include "shaders/attention_backward_texels.inc"
};
constexpr uint8_t kAttentionCachedCode[] = {
#include "shaders/attention_cached.inc"
};
constexpr uint8_t kAttentionMaskCode[] = {
#include "shaders/attention_mask.inc"
};
constexpr uint8_t kAttentionStoreCode[] = {
#include "shaders/attention_store.inc"
};
constexpr uint8_t kAttentionTexelsCode[] = {
#include "shaders/attention_texels.inc"
};
constexpr uint8_t kClipFactorCode[] = {
#include "shaders/clip_factor.inc"
};
constexpr uint8_t kCopyCode[] = {
#include "shaders/copy.inc"
};
constexpr uint8_t kCrossEntropyCode[] = {
#include "shaders/cross_entropy.inc"
};
constexpr uint8_t kEmbedCode[] = {
#include "shaders/embed.inc"
};
constexpr uint8_t kEmbedBackwardCode[] = {
#include "shaders/embed_backward.inc"
};
constexpr uint8_t kEmbedBackwardClearCode[] = {
#include "shaders/embed_backward_clear.inc"
};
constexpr uint8_t kEmbedBackwardLinksCode[] = {
#include "shaders/embed_backward_links.inc"
};
constexpr uint8_t kGatherRowsCode[] = {
#include "shaders/gather_rows.inc"
};
constexpr uint8_t kLinearCode[] = {
#include "shaders/linear.inc"
};
constexpr uint8_t kLinearBackwardCode[] = {
#include "shaders/linear_backward.inc"
};
constexpr uint8_t kLinearBackwardEpilogueCode[] = {
#include "shaders/linear_backward_epilogue.inc"
};
constexpr uint8_t kLinearBackwardEpilogueTexelsCode[] = {
#include "shaders/linear_backward_epilogue_texels.inc"
};
constexpr uint8_t kLinearBackwardTexelsCode[] = {
#include "shaders/linear_backward_texels.inc"
};
constexpr uint8_t kLinearBackwardWeightCode[] = {
#include "shaders/linear_backward_weight.inc"
};
constexpr uint8_t kLinearBackwardWeightTexelsCode[] = {
#include "shaders/linear_backward_weight_texels.inc"
};
constexpr uint8_t kLinearEpilogueCode[] = {
#include "shaders/linear_epilogue.inc"
};
constexpr uint8_t kLinearFewRowsCode[] = {
#include "shaders/linear_few_rows.inc"
};
constexpr uint8_t kLinearTexelsCode[] = {
#include "shaders/linear_texels.inc"
};
constexpr uint8_t kNormCode[] = {
#include "shaders/norm.inc"
};
constexpr uint8_t kNormBackwardCode[] = {
#include "shaders/norm_backward.inc"
};
constexpr uint8_t kNormBackwardTexelsCode[] = {
#include "shaders/norm_backward_texels.inc"
};
constexpr uint8_t kNormBackwardWeightCode[] = {
#include "shaders/norm_backward_weight.inc"
};
constexpr uint8_t kNormBackwardWeightSumCode[] = {
#include "shaders/norm_backward_weight_sum.inc"
};
constexpr uint8_t kNormBackwardWeightTexelsCode[] = {
#include "shaders/norm_backward_weight_texels.inc"
};
constexpr uint8_t kNormTexelsCode[] = {
#include "shaders/norm_texels.inc"
};
constexpr uint8_t kPeakCode[] = {
#include "shaders/peak.inc"
};
constexpr uint8_t kQuantizeRowsCode[] = {
#include "shaders/quantize_rows.inc"
};
constexpr uint8_t kSgdCode[] = {
#include "shaders/sgd.inc"
};
constexpr uint8_t kSumSquaresCode[] = {
#include "shaders/sum_squares.inc"
};

}  // namespace

constinit const Shader kAdamW = shader(kAdamWCode);
constinit const Shader kAttention = shader(kAttentionCode);
constinit const Shader kAttentionBackward = shader(kAttentionBackwardCode);
constinit const Shader kAttentionBackwardKeys = shader(kAttentionBackwardKeysCode);
constinit const Shader kAttentionBackwardKeysTexels = shader(kAttentionBackwardKeysTexelsCode);
constinit const Shader kAttentionBackwardTexels = shader(kAttentionBackwardTexelsCode);
constinit const Shader kAttentionCached = shader(kAttentionCachedCode);
constinit const Shader kAttentionMask = shader(kAttentionMaskCode);
constinit const Shader kAttentionStore = shader(kAttentionStoreCode);
constinit const Shader kAttentionTexels = shader(kAttentionTexelsCode);
constinit const Shader kClipFactor = shader(kClipFactorCode);
constinit const Shader kCopy = shader(kCopyCode);
constinit const Shader kCrossEntropy = shader(kCrossEntropyCode);
constinit const Shader kEmbed = shader(kEmbedCode);
constinit const Shader kEmbedBackward = shader(kEmbedBackwardCode);
constinit const Shader kEmbedBackwardClear = shader(kEmbedBackwardClearCode);
constinit const Shader kEmbedBackwardLinks = shader(kEmbedBackwardLinksCode);
constinit const Shader kGatherRows = shader(kGatherRowsCode);
constinit const Shader kLinear = shader(kLinearCode);
constinit const Shader kLinearBackward = shader(kLinearBackwardCode);
constinit const Shader kLinearBackwardEpilogue = shader(kLinearBackwardEpilogueCode);
constinit const Shader kLinearBackwardEpilogueTexels = shader(kLinearBackwardEpilogueTexelsCode);
constinit const Shader kLinearBackwardTexels = shader(kLinearBackwardTexelsCode);
constinit const Shader kLinearBackwardWeight = shader(kLinearBackwardWeightCode);
constinit const Shader kLinearBackwardWeightTexels = shader(kLinearBackwardWeightTexelsCode);
constinit const Shader kLinearEpilogue = shader(kLinearEpilogueCode);
constinit const Shader kLinearFewRows = shader(kLinearFewRowsCode);
constinit const Shader kLinearTexels = shader(kLinearTexelsCode);
constinit const Shader kNorm = shader(kNormCode);
constinit const Shader kNormBackward = shader(kNormBackwardCode);
constinit const Shader kNormBackwardTexels = shader(kNormBackwardTexelsCode);
constinit const Shader kNormBackwardWeight = shader(kNormBackwardWeightCode);
constinit const Shader kNormBackwardWeightSum = shader(kNormBackwardWeightSumCode);
constinit const Shader kNormBackwardWeightTexels = shader(kNormBackwardWeightTexelsCode);
constinit const Shader kNormTexels = shader(kNormTexelsCode);
constinit const Shader kPeak = shader(kPeakCode);
constinit const Shader kQuantizeRows = shader(kQuantizeRowsCode);
constinit const Shader kSgd = shader(kSgdCode);
constinit const Shader kSumSquares = shader(kSumSquaresCode);

}  // namespace nib::vulkan

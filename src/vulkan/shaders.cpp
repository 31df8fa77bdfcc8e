#include "vulkan/shaders.h"

namespace nib::vulkan {
namespace {

// As the build compiled them.
constexpr uint8_t kEmbedCode[] = {
#include "shaders/embed.inc"
};
constexpr uint8_t kNormCode[] = {
#include "shaders/norm.inc"
};
constexpr uint8_t kNormTexelsCode[] = {
#include "shaders/norm_texels.inc"
};
constexpr uint8_t kLinearCode[] = {
#include "shaders/linear.inc"
};
constexpr uint8_t kLinearTexelsCode[] = {
#include "shaders/linear_texels.inc"
};
constexpr uint8_t kLinearBackwardCode[] = {
#include "shaders/linear_backward.inc"
};
constexpr uint8_t kLinearBackwardTexelsCode[] = {
#include "shaders/linear_backward_texels.inc"
};
constexpr uint8_t kLinearBackwardEpilogueCode[] = {
#include "shaders/linear_backward_epilogue.inc"
};
constexpr uint8_t kLinearBackwardEpilogueTexelsCode[] = {
#include "shaders/linear_backward_epilogue_texels.inc"
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
constexpr uint8_t kAttentionCode[] = {
#include "shaders/attention.inc"
};
constexpr uint8_t kAttentionTexelsCode[] = {
#include "shaders/attention_texels.inc"
};
constexpr uint8_t kAttentionStoreCode[] = {
#include "shaders/attention_store.inc"
};
constexpr uint8_t kAttentionCachedCode[] = {
#include "shaders/attention_cached.inc"
};
constexpr uint8_t kGatherRowsCode[] = {
#include "shaders/gather_rows.inc"
};
constexpr uint8_t kCrossEntropyCode[] = {
#include "shaders/cross_entropy.inc"
};
constexpr uint8_t kQuantizeRowsCode[] = {
#include "shaders/quantize_rows.inc"
};
constexpr uint8_t kPeakCode[] = {
#include "shaders/peak.inc"
};
constexpr uint8_t kCopyCode[] = {
#include "shaders/copy.inc"
};
constexpr uint8_t kAdamWCode[] = {
#include "shaders/adamw.inc"
};
constexpr uint8_t kAttentionBackwardCode[] = {
#include "shaders/attention_backward.inc"
};
constexpr uint8_t kAttentionBackwardTexelsCode[] = {
#include "shaders/attention_backward_texels.inc"
};
constexpr uint8_t kAttentionBackwardKeysCode[] = {
#include "shaders/attention_backward_keys.inc"
};
constexpr uint8_t kAttentionBackwardKeysTexelsCode[] = {
#include "shaders/attention_backward_keys_texels.inc"
};
constexpr uint8_t kClipFactorCode[] = {
#include "shaders/clip_factor.inc"
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
constexpr uint8_t kSgdCode[] = {
#include "shaders/sgd.inc"
};
constexpr uint8_t kSumSquaresCode[] = {
#include "shaders/sum_squares.inc"
};

}  // namespace

// A tensor's bit is 1 << its number in the shader.
const Shader kAdamW{kAdamWCode, 0b11100011};
const Shader kAttention{kAttentionCode, 0b01100001};
const Shader kAttentionTexels{kAttentionTexelsCode, 0b01100001, 0b00000001};
const Shader kAttentionBackward{kAttentionBackwardCode, 0b01101111};
const Shader kAttentionBackwardTexels{kAttentionBackwardTexelsCode, 0b01101111, 0b00000111};
const Shader kAttentionBackwardKeys{kAttentionBackwardKeysCode, 0b00111011};
const Shader kAttentionBackwardKeysTexels{kAttentionBackwardKeysTexelsCode, 0b00111011, 0b00000011};
const Shader kAttentionCached{kAttentionCachedCode, 0b11100011};
const Shader kAttentionStore{kAttentionStoreCode, 0b11000011};
const Shader kClipFactor{kClipFactorCode, 0b00100001};
const Shader kCrossEntropy{kCrossEntropyCode, 0b11100011};
const Shader kEmbed{kEmbedCode, 0b00101111};
const Shader kEmbedBackward{kEmbedBackwardCode, 0b01110111};
const Shader kEmbedBackwardClear{kEmbedBackwardClearCode, 0b01100000};
const Shader kEmbedBackwardLinks{kEmbedBackwardLinksCode, 0b10000110};
const Shader kGatherRows{kGatherRowsCode, 0b00100011};
const Shader kLinear{kLinearCode, 0b01101111};
const Shader kLinearTexels{kLinearTexelsCode, 0b01100111, 0b111};
const Shader kLinearBackward{kLinearBackwardCode, 0b00100011};
const Shader kLinearBackwardTexels{kLinearBackwardTexelsCode, 0b00100011, 0b11};
const Shader kLinearBackwardEpilogue{kLinearBackwardEpilogueCode, 0b00100011};
const Shader kLinearBackwardEpilogueTexels{kLinearBackwardEpilogueTexelsCode, 0b00100011, 0b11};
const Shader kLinearBackwardWeight{kLinearBackwardWeightCode, 0b01100011};
const Shader kLinearBackwardWeightTexels{kLinearBackwardWeightTexelsCode, 0b01100011, 0b11};
const Shader kLinearEpilogue{kLinearEpilogueCode, 0b01101000, 0b01001000};
const Shader kLinearFewRows{kLinearFewRowsCode, 0b01101111};
const Shader kNorm{kNormCode, 0b11100111};
const Shader kNormTexels{kNormTexelsCode, 0b11100111, 0b111};
const Shader kNormBackward{kNormBackwardCode, 0b00111111};
const Shader kNormBackwardTexels{kNormBackwardTexelsCode, 0b00111111, 0b111};
const Shader kNormBackwardWeight{kNormBackwardWeightCode, 0b00101111};
const Shader kNormBackwardWeightSum{kNormBackwardWeightSumCode, 0b01100001};
const Shader kQuantizeRows{kQuantizeRowsCode, 0b00100001};
const Shader kPeak{kPeakCode, 0b00100000};
const Shader kCopy{kCopyCode, 0b00100001};
const Shader kSgd{kSgdCode, 0b01100011};
const Shader kSumSquares{kSumSquaresCode, 0b00100001};

}  // namespace nib::vulkan

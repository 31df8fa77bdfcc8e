// The tensor formats of GGUF files in plain scalar code: the specification that converters use and SIMD kernels are held
// to. Each format's layout stands above its code in quantize_legacy.cpp (blocks of 32) and quantize_k.cpp (blocks of 256).
//
// Dot products on quantized rows
// ------------------------------
// A row of weights stays packed; the activations x that it is multiplied with are quantized once per row of x, to signed
// 8 bits, and products are summed as integers. For a run of N activations (N = 32 beside Q4_0, Q4_1, Q5_0, Q5_1, Q8_0;
// N = 256 beside the K formats), all in float arithmetic without contraction:
//     amax    = max |x[i]|
//     scale   = amax / 127
//     inverse = 127 / amax                        one division, not the reciprocal of scale
//     q[i]    = rint(x[i] * inverse)              to nearest, ties to even; in [-127, 127], never -128
//     sums[g] = sum of q over each run of 16      at most 2032 in magnitude; for N = 32 one sum of all, at most 4064
// amax < 2^-100: all of it is zero. An x that is NaN or infinite: scale is NaN, q and sums are zero, so that every result
// the run takes part in is NaN.
//
// A weight is scale_w[g] * q_w[i] - offset_w[g] with g = i / group (see `Decoded`), so a block's share of the dot product
// is
//     scale * sum_g (scale_w[g] * sum_{i in g} q_w[i] q[i]  -  offset_w[g] * sum_{i in g} q[i])
// Inner sums are exact integers. In the K formats scale_w[g] is d times a small integer, and likewise offset_w[g], so those
// integers (6 bits, 8 in Q6_K) multiply in before the one conversion to float per block: every such sum is below 2^28.
// Formats whose levels are stored with a bias (Q4_0: q + 8, Q5_0: q + 16, Q3_K: q + 4, Q6_K: q + 32) may multiply
// the stored, unsigned level and subtract bias * sums. Q8_0 files of others may hold the weight level -128.
//
// The kernels' results differ from `dot` by rounding only: it adds the blocks in double, they in float. With n blocks and
// m the `magnitude` that dot reports, |kernel - dot| <= (2 n + 4) * 2^-24 * m whatever the order of summation.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace nib::quant {

/// IEEE half precision, rounded to nearest, ties to even; overflow to infinity, subnormals kept. NaN stays NaN: quiet, with
/// its sign and upper payload bits, both ways. Bit for bit what x86's F16C and Arm's FCVT give.
uint16_t to_f16(float value);
float from_f16(uint16_t bits);

/// bfloat16, rounded likewise; NaN becomes quiet and keeps its upper payload bits. Subnormals are kept, which x86's
/// VCVTNEPS2BF16 would flush to zero.
uint16_t to_bf16(float value);
float from_bf16(uint16_t bits);

/// F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K.
bool can_unpack(DType type);
/// All of these but Q2_K and Q3_K.
bool can_pack(DType type);

/// `count` values, a multiple of the type's block size, or Error. `blocks` may have any alignment.
void unpack(DType type, const void* blocks, int64_t count, float* out);

/// Rounds `count` values, a multiple of the block size, to the format. Deterministic: the same bytes on every machine.
/// F16 and BF16 keep NaN and infinities. In the block formats, which have one scale for many values, a NaN counts as 0 and
/// a magnitude beyond what the scale can hold (infinity too) as the largest it can hold:
///     Q8_0 65504 * 127,  Q4_0 65504 * 8,  Q5_0 65504 * 16,  K formats 65504 * 63,
///     Q4_1 -65504 ... 65504 * 14,  Q5_1 -65504 ... 65504 * 30
/// so no input poisons its neighbours beyond losing their precision. Within these limits blocks of 32 are ggml's reference
/// quantizers' to the bit; Q8_0, Q4_0 and Q5_0 values are unchanged when unpacked and packed again. K formats are searched
/// for the least squared error.
void pack(DType type, const float* values, int64_t count, void* blocks);

/// The integers of one quantized block: value[i] = scale[i / group] * q[i] - offset[i / group], in float, rounded after the
/// product and after the difference (scale * q is exact in the K formats). Types without an offset have zeros there.
struct Decoded {
    int size, group;  // values in the block; values with one scale
    int8_t q[256];
    float scale[16], offset[16];
};
Decoded decode(DType type, const void* block);

/// Quantized activations, as said above. Kernels may arrange these numbers otherwise.
struct Activation32 {
    float scale;
    int32_t sum;  // of q
    int8_t q[32];
};
struct Activation256 {
    float scale;
    int16_t sums[16];  // of q[16 g] ... q[16 g + 15]
    int8_t q[256];
};

/// `count` is a multiple of 32 or 256, or Error; one element of `out` per such run.
void quantize_activations(const float* x, int64_t count, Activation32* out);
void quantize_activations(const float* x, int64_t count, Activation256* out);

/// Dot product of a packed row with activations: exact integers per group, all else in double. `magnitude`, when given,
/// receives the sum of the absolute values of the terms, which bounds what rounding can do.
double dot(DType type, const void* row, const Activation32* x, int64_t count, double* magnitude = nullptr);
double dot(DType type, const void* row, const Activation256* x, int64_t count, double* magnitude = nullptr);
/// The same with activations as they are: the contract of F32, F16 and BF16 rows, and for quantized rows what the dot
/// product would be without quantized activations.
double dot(DType type, const void* row, const float* x, int64_t count, double* magnitude = nullptr);

// ---- blocks as stored in a file: bytes only, so no alignment is needed; two-byte numbers are little-endian -------------
struct BlockQ8_0 {
    uint8_t d[2], q[32];
};
struct BlockQ4_0 {
    uint8_t d[2], q[16];
};
struct BlockQ4_1 {
    uint8_t d[2], m[2], q[16];
};
struct BlockQ5_0 {
    uint8_t d[2], high[4], q[16];
};
struct BlockQ5_1 {
    uint8_t d[2], m[2], high[4], q[16];
};
struct BlockQ2_K {
    uint8_t scales[16], q[64], d[2], dmin[2];
};
struct BlockQ3_K {
    uint8_t high[32], q[64], scales[12], d[2];
};
struct BlockQ4_K {
    uint8_t d[2], dmin[2], scales[12], q[128];
};
struct BlockQ5_K {
    uint8_t d[2], dmin[2], scales[12], high[32], q[128];
};
struct BlockQ6_K {
    uint8_t low[128], high[64], scales[16], d[2];
};

// What quantize_legacy.cpp, quantize_k.cpp and quantize_k_pack.cpp define for quantize.cpp.
namespace detail {
Decoded decode_legacy(DType type, const void* block);
Decoded decode_k(DType type, const void* block);
void pack_legacy(DType type, const float* values, int64_t count, uint8_t* blocks);
void pack_k(DType type, const float* values, int64_t count, uint8_t* blocks);
/// A half float at any address.
float load_half(const uint8_t* bytes);
void store_half(uint8_t* bytes, float value);
/// `values` as they are, or a copy in `buffer`: NaN as 0, the others within [low, high], where low < 0 and -low <= high.
const float* cleaned(const float* values, int count, float low, float high, float* buffer);
}  // namespace detail

}  // namespace nib::quant

#include "quant/quantize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "core/error.h"

namespace nib::quant {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks are read in the file's byte order");

constexpr uint32_t kInfinity = 0x7F800000, kMagnitude = 0x7FFFFFFF;

uint32_t bits_of(float value) { return std::bit_cast<uint32_t>(value); }
float float_of(uint32_t bits) { return std::bit_cast<float>(bits); }

// Half precision: sign 1 bit, exponent 5 (bias 15), fraction 10; single: 1, 8 (bias 127), 23. Everything is computed and
// then selected, so that loops over this become vectors.
//   normal     the fraction loses 13 bits: add half of their unit (less one if the last kept bit is even), shift, and take
//              112 off the exponent; a carry moves on into the exponent, and at last into infinity
//   subnormal  the unit of |x| + 0.5 is 2^-24, the half's smallest step: the addition rounds
inline uint16_t half_of(float value) {
    const uint32_t bits = bits_of(value), a = bits & kMagnitude;
    const uint32_t rounded = (a + 0xFFF + (a >> 13 & 1) - (uint32_t{112} << 23)) >> 13;
    const uint32_t small = bits_of(float_of(a) + 0.5f) - bits_of(0.5f);
    const uint32_t nan = 0x7E00 | (a >> 13 & 0x3FF);
    uint32_t half = a >= 0x47800000 ? 0x7C00 : rounded;  // 65536 and more; 65520 and more got there by carry
    half = a < 0x38800000 ? small : half;                // below 2^-14
    half = a > kInfinity ? nan : half;
    return static_cast<uint16_t>(half | (bits >> 16 & 0x8000));
}

inline float float_of_half(uint16_t half) {
    const uint32_t a = uint32_t{half} & 0x7FFF, moved = a << 13;
    const uint32_t normal = moved + (uint32_t{112} << 23);
    const uint32_t small = bits_of(static_cast<float>(a) * 0x1p-24f);
    const uint32_t special = moved | kInfinity | (a > 0x7C00 ? 0x400000 : 0);
    uint32_t bits = a < 0x400 ? small : normal;
    bits = a >= 0x7C00 ? special : bits;
    return float_of(bits | (uint32_t{half} & 0x8000) << 16);
}

// The upper half of a float.
inline uint16_t bfloat_of(float value) {
    const uint32_t bits = bits_of(value);
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16, nan = bits >> 16 | 0x40;
    return static_cast<uint16_t>((bits & kMagnitude) > kInfinity ? nan : rounded);
}

inline float float_of_bfloat(uint16_t value) {
    const uint32_t bits = uint32_t{value} << 16;
    return float_of((bits & kMagnitude) > kInfinity ? bits | 0x400000 : bits);
}

// Conversions work on pieces: loops of a fixed length over local arrays vectorize without run-time checks.
constexpr int64_t kPiece = 64;

template <uint16_t (*convert)(float)>
void pack_plain(const float* values, int64_t count, uint8_t* out) {
    float in[kPiece];
    uint16_t words[kPiece];
    for (int64_t i = 0; i < count; i += kPiece) {
        const auto n = static_cast<size_t>(std::min(kPiece, count - i));
        if (n < kPiece) std::fill_n(in, kPiece, 0.0f);
        std::memcpy(in, values + i, n * sizeof(float));
        for (int64_t k = 0; k < kPiece; ++k) words[k] = convert(in[k]);
        std::memcpy(out + i * 2, words, n * sizeof(uint16_t));
    }
}

template <float (*convert)(uint16_t)>
void unpack_plain(const uint8_t* blocks, int64_t count, float* out) {
    uint16_t words[kPiece] = {};
    float values[kPiece];
    for (int64_t i = 0; i < count; i += kPiece) {
        const auto n = static_cast<size_t>(std::min(kPiece, count - i));
        std::memcpy(words, blocks + i * 2, n * sizeof(uint16_t));
        for (int64_t k = 0; k < kPiece; ++k) values[k] = convert(words[k]);
        std::memcpy(out + i, values, n * sizeof(float));
    }
}

[[noreturn]] void refuse(DType type, const char* how) {
    const DTypeInfo* info = dtype_info(type);
    fail("type %s cannot be %s", info ? info->name : std::to_string(static_cast<unsigned>(type)).c_str(), how);
}

void check_runs(int64_t count, int64_t run) {
    if (count < 0 || count % run != 0)
        fail("%lld numbers are no whole number of runs of %lld", static_cast<long long>(count),
             static_cast<long long>(run));
}

bool is_legacy(DType type) {
    return type == DType::Q8_0 || type == DType::Q4_0 || type == DType::Q4_1 || type == DType::Q5_0 || type == DType::Q5_1;
}

bool is_k(DType type) {
    return type == DType::Q2_K || type == DType::Q3_K || type == DType::Q4_K || type == DType::Q5_K || type == DType::Q6_K;
}

bool is_plain(DType type) { return type == DType::F32 || type == DType::F16 || type == DType::BF16; }

// Fills scale and q of a run; false when all of it is zero.
template <int N>
bool quantize_run(const float* x, float& scale, int8_t (&q)[N]) {
    uint32_t amax_bits = 0;
    for (int i = 0; i < N; ++i) amax_bits = std::max(amax_bits, bits_of(x[i]) & kMagnitude);
    const float amax = float_of(amax_bits);
    std::fill_n(q, N, int8_t{0});
    const bool finite = amax_bits < kInfinity;
    scale = !finite ? std::numeric_limits<float>::quiet_NaN() : amax < 0x1p-100f ? 0.0f : amax / 127;
    if (!finite || amax < 0x1p-100f) return false;
    const float inverse = 127 / amax;
    for (int i = 0; i < N; ++i) q[i] = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
    return true;
}

// The share of one block: sum_g scale[g] * (q . x.q) - offset[g] * sum(x.q), times the activations' scale.
double dot_block(const Decoded& w, const int8_t* x, double scale, double& magnitude) {
    double sum = 0;
    for (int g = 0; g < w.size / w.group; ++g) {
        int32_t product = 0, total = 0;
        for (int i = g * w.group; i < (g + 1) * w.group; ++i) product += w.q[i] * x[i], total += x[i];
        const double term = scale * w.scale[g] * product, offset = scale * w.offset[g] * total;
        sum += term - offset;
        magnitude += std::abs(term) + std::abs(offset);
    }
    return sum;
}

template <class Activation>
double dot_blocks(DType type, const void* row, const Activation* x, int64_t count, double* magnitude) {
    dtype_bytes(type, count);  // or Error
    const DTypeInfo* info = dtype_info(type);
    if (info->block_size != static_cast<int64_t>(sizeof x->q))
        fail("%s has blocks of %lld numbers, not %zu", info->name, static_cast<long long>(info->block_size), sizeof x->q);
    double sum = 0, size = 0;
    for (int64_t b = 0; b < count / info->block_size; ++b) {
        const Decoded w = decode(type, static_cast<const uint8_t*>(row) + b * info->block_bytes);
        sum += dot_block(w, x[b].q, x[b].scale, size);
    }
    if (magnitude) *magnitude = size;
    return sum;
}

}  // namespace

uint16_t to_f16(float value) { return half_of(value); }
float from_f16(uint16_t bits) { return float_of_half(bits); }
uint16_t to_bf16(float value) { return bfloat_of(value); }
float from_bf16(uint16_t bits) { return float_of_bfloat(bits); }

bool can_unpack(DType type) { return is_plain(type) || is_legacy(type) || is_k(type); }
bool can_pack(DType type) { return can_unpack(type) && type != DType::Q2_K && type != DType::Q3_K; }

Decoded decode(DType type, const void* block) {
    if (!is_legacy(type) && !is_k(type)) refuse(type, "decoded");
    return is_legacy(type) ? detail::decode_legacy(type, block) : detail::decode_k(type, block);
}

void unpack(DType type, const void* blocks, int64_t count, float* out) {
    if (!can_unpack(type)) refuse(type, "unpacked");
    const size_t bytes = dtype_bytes(type, count);
    const auto* in = static_cast<const uint8_t*>(blocks);
    if (type == DType::F32 && bytes > 0) std::memcpy(out, in, bytes);
    if (type == DType::F16) unpack_plain<float_of_half>(in, count, out);
    if (type == DType::BF16) unpack_plain<float_of_bfloat>(in, count, out);
    if (is_plain(type)) return;
    const DTypeInfo& info = *dtype_info(type);
    for (int64_t b = 0; b < count / info.block_size; ++b) {
        const Decoded w = decode(type, in + b * info.block_bytes);
        for (int i = 0; i < w.size; ++i) *out++ = w.scale[i / w.group] * w.q[i] - w.offset[i / w.group];
    }
}

void pack(DType type, const float* values, int64_t count, void* blocks) {
    if (!can_pack(type)) refuse(type, "packed");
    const size_t bytes = dtype_bytes(type, count);
    auto* out = static_cast<uint8_t*>(blocks);
    if (type == DType::F32 && bytes > 0) std::memcpy(out, values, bytes);
    if (type == DType::F16) pack_plain<half_of>(values, count, out);
    if (type == DType::BF16) pack_plain<bfloat_of>(values, count, out);
    if (is_legacy(type)) detail::pack_legacy(type, values, count, out);
    if (is_k(type)) detail::pack_k(type, values, count, out);
}

float detail::load_half(const uint8_t* bytes) {
    uint16_t half;
    std::memcpy(&half, bytes, sizeof half);
    return from_f16(half);
}

void detail::store_half(uint8_t* bytes, float value) {
    const uint16_t half = to_f16(value);
    std::memcpy(bytes, &half, sizeof half);
}

const float* detail::cleaned(const float* values, int count, float low, float high, float* buffer) {
    uint32_t largest = 0;
    for (int i = 0; i < count; ++i) largest = std::max(largest, bits_of(values[i]) & kMagnitude);
    if (largest <= bits_of(-low)) return values;
    for (int i = 0; i < count; ++i) buffer[i] = std::isnan(values[i]) ? 0.0f : std::clamp(values[i], low, high);
    return buffer;
}

void quantize_activations(const float* x, int64_t count, Activation32* out) {
    check_runs(count, 32);
    for (; count > 0; count -= 32, x += 32, ++out) {
        out->sum = 0;
        if (quantize_run(x, out->scale, out->q))
            for (const int8_t q : out->q) out->sum += q;
    }
}

void quantize_activations(const float* x, int64_t count, Activation256* out) {
    check_runs(count, 256);
    for (; count > 0; count -= 256, x += 256, ++out) {
        std::fill_n(out->sums, 16, int16_t{0});
        if (quantize_run(x, out->scale, out->q))
            for (int i = 0; i < 256; ++i) out->sums[i / 16] = static_cast<int16_t>(out->sums[i / 16] + out->q[i]);
    }
}

double dot(DType type, const void* row, const Activation32* x, int64_t count, double* magnitude) {
    return dot_blocks(type, row, x, count, magnitude);
}

double dot(DType type, const void* row, const Activation256* x, int64_t count, double* magnitude) {
    return dot_blocks(type, row, x, count, magnitude);
}

double dot(DType type, const void* row, const float* x, int64_t count, double* magnitude) {
    if (!can_unpack(type)) refuse(type, "unpacked");
    dtype_bytes(type, count);  // or Error
    const DTypeInfo& info = *dtype_info(type);
    double sum = 0, size = 0;
    float values[256];
    for (int64_t b = 0; b < count / info.block_size; ++b, x += info.block_size) {
        unpack(type, static_cast<const uint8_t*>(row) + b * info.block_bytes, info.block_size, values);
        for (int64_t i = 0; i < info.block_size; ++i) {
            const double term = static_cast<double>(values[i]) * x[i];
            sum += term;
            size += std::abs(term);
        }
    }
    if (magnitude) *magnitude = size;
    return sum;
}

}  // namespace nib::quant

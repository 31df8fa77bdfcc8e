// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// The same key and counter give the same numbers on any device and any number of threads.
#pragma once

#include <array>
#include <cstdint>

namespace nib {

/// One block: four random 32-bit words for a 128-bit counter and a 64-bit key.
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, uint64_t key) {
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t{0xD2511F53} * counter[0], b = uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(b),
                   static_cast<uint32_t>(a >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(a)};
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return counter;
}

/// What a block is used for: the third word of the counter. Dropout streams count up from zero.
constexpr uint32_t kBatchStream = 0xFFFFFFF0, kInitStream = 0xFFFFFFF1, kSampleStream = 0xFFFFFFF2,
                   kMaskStream = 0xFFFFFFF3, kShuffleStream = 0xFFFFFFF4, kTokenDropoutStream = 0xFFFFFFF5,
                   kPairStream = 0xFFFFFFF6;

/// The 16 random bits that decide over element `index` of dropout mask `stream` in micro-batch `step`.
/// A group of 128 elements takes 16 blocks; element e of a group takes half (e / 16) of block (e % 16), halves counted
/// from the low half of word 0, so that a vector of 16, 8 or 4 blocks fills adjacent elements.
inline uint32_t dropout_bits(uint64_t seed, uint32_t step, uint32_t stream, uint64_t index) {
    const uint64_t block = index / 128 * 16 + index % 16;
    const uint64_t half = index % 128 / 16;
    const auto words = philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), stream, step}, seed);
    return words[half / 2] >> (half % 2 * 16) & 0xFFFF;
}

/// Factor of an element under dropout: 0, or 1 / (1 - p). `threshold` is Params::dropout.
inline float dropout_factor(uint64_t seed, uint32_t step, uint32_t stream, uint32_t threshold, uint64_t index) {
    if (threshold == 0) return 1.0f;
    return dropout_bits(seed, step, stream, index) < threshold ? 0.0f : 65536.0f / static_cast<float>(65536 - threshold);
}

}  // namespace nib

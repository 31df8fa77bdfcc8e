// One instruction set's vector of floats. Kernel files are compiled once per instruction set with NIB_ISA set to its name;
// everything they define lives in namespace nib::cpu::NIB_ISA, because the linker keeps only one copy of a shared inline
// function and it might be the one that this machine cannot run. So kernels include only this, plain-data headers and
// xsimd, and use nothing of the standard library that is not a macro or a type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <xsimd/xsimd.hpp>

#include "cpu/kernels.h"

namespace nib::cpu::NIB_ISA {

#if defined(__AVX512BW__)
using Arch = xsimd::avx512bw;
#elif defined(__AVX2__)
using Arch = xsimd::fma3<xsimd::avx2>;
#elif defined(__SSE4_2__)
using Arch = xsimd::sse4_2;
#elif defined(__aarch64__)
using Arch = xsimd::neon64;
#else
#error "no vector instructions for this target"
#endif

using vf = xsimd::batch<float, Arch>;
constexpr int64_t kWidth = static_cast<int64_t>(vf::size);

// Our own, since the standard library's are shared inline functions.
template <class T>
[[gnu::always_inline]] inline T min(T a, T b) {
    return b < a ? b : a;
}
template <class T>
[[gnu::always_inline]] inline T max(T a, T b) {
    return a < b ? b : a;
}
/// `n` rounded up to a multiple of `to`.
[[gnu::always_inline]] inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

[[gnu::always_inline]] inline vf load(const float* p) { return vf::load_unaligned(p); }
[[gnu::always_inline]] inline void store(float* p, vf v) { v.store_unaligned(p); }

// Table of constants: kFirstLanes + 16 - n begins with n set lanes.
constexpr uint32_t kFirstLanes[32] = {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u,
                                      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0};

/// First n < kWidth floats of p, the rest zero; touches no memory beyond them.
[[gnu::always_inline]] inline vf load_tail(const float* p, int64_t n) {
#if defined(__AVX512BW__)
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#elif defined(__AVX2__)
    const __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kFirstLanes + 16 - n));
    return _mm256_maskload_ps(p, mask);
#else
    alignas(64) float buffer[kWidth] = {};
    for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
    return vf::load_aligned(buffer);
#endif
}

/// Stores the first n < kWidth floats of v.
[[gnu::always_inline]] inline void store_tail(float* p, vf v, int64_t n) {
#if defined(__AVX512BW__)
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
#elif defined(__AVX2__)
    const __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kFirstLanes + 16 - n));
    _mm256_maskstore_ps(p, mask, v);
#else
    alignas(64) float buffer[kWidth];
    v.store_aligned(buffer);
    for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
#endif
}

// The `load` and `store` of for_each_vector: for all lanes, or the first few.
struct LoadAll {
    template <class T>
    [[gnu::always_inline]] inline vf operator()(const T* p) const {
        return load(p);
    }
};
struct StoreAll {
    template <class T>
    [[gnu::always_inline]] inline void operator()(T* p, vf v) const {
        store(p, v);
    }
};
struct LoadTail {
    int64_t lanes;
    template <class T>
    [[gnu::always_inline]] inline vf operator()(const T* p) const {
        return load_tail(p, lanes);
    }
};
struct StoreTail {
    int64_t lanes;
    template <class T>
    [[gnu::always_inline]] inline void operator()(T* p, vf v) const {
        store_tail(p, v, lanes);
    }
};

/// Calls body(offset, load, store) for every vector of n floats; the last may be partial. In the body, load(p) and
/// store(p, v) act on the lanes that exist; missing lanes read as zero. p may point to any type that has a load().
template <class Body>
[[gnu::always_inline]] inline void for_each_vector(int64_t n, Body&& body) {
    int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) body(i, LoadAll{}, StoreAll{});
    if (const int64_t left = n - i; left > 0) body(i, LoadTail{left}, StoreTail{left});
}

}  // namespace nib::cpu::NIB_ISA

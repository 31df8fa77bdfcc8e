// Packing into super-blocks of 256 values: Q4_K, Q5_K, Q6_K, whose layouts are in quantize_k.cpp.
//
// The error is sum w (value - x)^2 with ggml's weights, w = sqrt(mean of x^2 in the group) + |x|: large weights matter
// more.
//  1. For each group, the best scale and minimum as real numbers: from several grids, round x to levels and solve the
//     linear least squares for scale and minimum; repeat that from the best.
//  2. d and dmin such that the largest scale and minimum fit in their bits.
//  3. With d and dmin fixed, each group tries the integers beside its scale and beside its minimum and keeps the best.
//  4. With all integers fixed, solve for d and dmin, and go to 3; keep the best of all rounds.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "quant/quantize.h"

namespace nib::quant {
namespace {

using detail::store_half;

constexpr int kSize = 256;
constexpr float kLimit = 65504.0f * 63;

constexpr int kRounds = 3;
constexpr float kTiny = 0x1p-25f;  // all |x| below: zero is nearest, since the smallest step is 2^-24

// Four values at a time on every machine. Operations are element-wise, so all compilers give the same results.
typedef float Float4 __attribute__((vector_size(16)));
typedef int32_t Int4 __attribute__((vector_size(16)));

Float4 load(const float* from) {
    Float4 v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

// Sums v by pairwise halving, for accuracy. Overwrites it.
template <int n>
float total(Float4* v) {
    if constexpr (n == 1) {
        return ((*v)[0] + (*v)[2]) + ((*v)[1] + (*v)[3]);
    } else {
        for (int i = 0; i < n / 2; ++i) v[i] += v[i + n / 2];
        return total<n / 2>(v);
    }
}

// Levels q = round(x * inverse + shift), kept within [low, high].
template <int low, int high>
Float4 round_to_levels(Float4 x, float inverse, float shift) {
    const Float4 least = Float4{} + 1.0f * low, most = Float4{} + 1.0f * high;
    Float4 q = x * inverse + shift;
    q = q < least ? least : q;
    q = q > most ? most : q;
    return __builtin_convertvector(__builtin_convertvector(q + (0.5f - low), Int4) + low, Float4);  // q - low >= 0
}

template <int N, int low, int high>
void round_to_levels(const float* x, float inverse, float shift, float* q) {
    for (int i = 0; i < N; i += 4) {
        const Float4 levels = round_to_levels<low, high>(load(x + i), inverse, shift);
        std::memcpy(q + i, &levels, sizeof levels);
    }
}

// Weighted sums of levels.
struct Moments {
    float q, qq, qx;
};

template <int N, int low, int high>
Moments moments(const float* x, const float* w, float inverse, float shift) {
    Float4 q[N / 4], qq[N / 4], qx[N / 4];
    for (int i = 0; i < N / 4; ++i) {
        const Float4 values = load(x + 4 * i), levels = round_to_levels<low, high>(values, inverse, shift);
        q[i] = load(w + 4 * i) * levels;
        qq[i] = q[i] * levels;
        qx[i] = q[i] * values;
    }
    return {total<N / 4>(q), total<N / 4>(qq), total<N / 4>(qx)};
}

// sum w (scale q - minimum - x)^2 with q the nearest levels.
template <int N, int low, int high>
float error(const float* x, const float* w, float scale, float minimum) {
    const float inverse = scale != 0 ? 1 / scale : 0;
    Float4 v[N / 4];
    for (int i = 0; i < N / 4; ++i) {
        const Float4 values = load(x + 4 * i);
        const Float4 e = scale * round_to_levels<low, high>(values, inverse, minimum * inverse) - minimum - values;
        v[i] = load(w + 4 * i) * e * e;
    }
    return total<N / 4>(v);
}

template <int N>
void weigh(const float* x, float* w) {
    Float4 squares[N / 4];
    for (int i = 0; i < N / 4; ++i) squares[i] = load(x + 4 * i) * load(x + 4 * i);
    const float deviation = std::sqrt(total<N / 4>(squares) / N);
    for (int i = 0; i < N; ++i) w[i] = deviation + std::abs(x[i]);
}

struct Fit {
    float scale = 0, minimum = 0;
};

// Least squares for fixed levels: x ~ scale q - minimum, minimum >= 0. Returns by how much that lowers sum w x^2.
double solve(const Moments& m, double sum_w, double sum_wx, Fit& fit) {
    const double q = m.q, qq = m.qq, qx = m.qx, det = sum_w * qq - q * q;
    double scale = 0, offset = 1;
    if (det > 0) {
        scale = (sum_w * qx - sum_wx * q) / det;
        offset = (qq * sum_wx - q * qx) / det;
    }
    if (offset > 0) {
        offset = 0;
        scale = qq > 0 ? std::max(0.0, qx / qq) : 0;
    }
    fit = {static_cast<float>(scale), static_cast<float>(-offset)};
    return scale * qx + offset * sum_wx;
}

// From the grid inverse, shift: rounds and solves as long as that helps, and keeps what is better than `best`.
template <int N, int top>
void improve_affine(const float* x, const float* w, double sum_w, double sum_wx, float inverse, float shift, int rounds,
                    Fit& fit, double& best) {
    for (int round = 0; round < rounds; ++round) {
        Fit next;
        const double gain = solve(moments<N, 0, top>(x, w, inverse, shift), sum_w, sum_wx, next);
        if (!(gain > best)) return;
        best = gain;
        fit = next;
        if (next.scale == 0) return;
        inverse = 1 / next.scale;
        shift = next.minimum * inverse;
    }
}

template <int top>
Fit fit_affine(const float* x, const float* w, double sum_w, double sum_wx) {
    constexpr int N = 32;
    const float low = std::min(0.0f, *std::min_element(x, x + N)), high = *std::max_element(x, x + N);
    Fit fit{0, -low};
    if (high - low < kTiny) return fit;
    double best = -1;
    for (int step = -5; step <= 5; ++step) {
        const float inverse = (top + 0.4f * static_cast<float>(step)) / (high - low);
        improve_affine<N, top>(x, w, sum_w, sum_wx, inverse, -low * inverse, 1, fit, best);
    }
    const float inverse = fit.scale > 0 ? 1 / fit.scale : 0;
    improve_affine<N, top>(x, w, sum_w, sum_wx, inverse, fit.minimum * inverse, 4, fit, best);
    return fit;
}

template <int N>
Fit fit_symmetric(const float* x, const float* w) {
    float extreme = 0;
    for (int i = 0; i < N; ++i) extreme = std::abs(x[i]) > std::abs(extreme) ? x[i] : extreme;
    Fit fit;
    if (std::abs(extreme) < kTiny) return fit;
    double best = -1;
    const auto improve = [&](float inverse) {
        const Moments m = moments<N, -32, 31>(x, w, inverse, 0);
        const double gain = m.qq > 0 ? static_cast<double>(m.qx) * m.qx / m.qq : 0;
        if (!(gain > best)) return false;
        best = gain;
        fit.scale = m.qx / m.qq;
        return true;
    };
    for (int level = 24; level <= 40; ++level) improve(static_cast<float>(-level) / extreme);  // cut off at -32 when beyond
    for (int round = 0; round < 4 && improve(1 / fit.scale); ++round) continue;
    return fit;
}

// The nearest half float; the smallest rather than 0.
float half_step(double value) {
    const float half = from_f16(to_f16(static_cast<float>(std::clamp(value, -65504.0, 65504.0))));
    return half != 0 || value == 0 ? half : std::copysign(0x1p-24f, static_cast<float>(value));
}

int nearest(float value, float step, int low, int high) {
    return step == 0 ? 0 : static_cast<int>(std::clamp(std::nearbyint(value / step), 1.0f * low, 1.0f * high));
}

// A super-block's integers for given d and dmin.
template <int kGroups>
struct Choice {
    float d = 0, dmin = 0;
    int s[kGroups] = {}, m[kGroups] = {};
    double error = 0;
};

// What Q4_K and Q5_K have in common.
template <int top>
struct Affine {
    static constexpr int N = 32, kGroups = kSize / N;
    const float* x;
    float w[kSize];
    Fit fits[kGroups];
    double sum_w[kGroups], sum_wx[kGroups];

    explicit Affine(const float* values) : x(values) {
        for (int g = 0; g < kGroups; ++g) {
            weigh<N>(x + g * N, w + g * N);
            Float4 weights[N / 4], products[N / 4];
            for (int i = 0; i < N / 4; ++i) {
                weights[i] = load(w + g * N + 4 * i);
                products[i] = weights[i] * load(x + g * N + 4 * i);
            }
            sum_w[g] = total<N / 4>(weights);
            sum_wx[g] = total<N / 4>(products);
            fits[g] = fit_affine<top>(x + g * N, w + g * N, sum_w[g], sum_wx[g]);
        }
    }

    Choice<kGroups> choose(float d, float dmin) const {
        Choice<kGroups> out{d, dmin};
        for (int g = 0; g < kGroups; ++g) {
            const int s0 = nearest(fits[g].scale, d, 0, 63), m0 = nearest(fits[g].minimum, dmin, 0, 63);
            double best = -1;
            for (const int s : {s0, s0 - 1, s0 + 1})
                for (const int m : {m0, m0 - 1, m0 + 1}) {
                    if ((s != s0 && m != m0) || std::min(s, m) < 0 || std::max(s, m) > 63) continue;  // one at a time
                    const double e =
                        error<N, 0, top>(x + g * N, w + g * N, d * static_cast<float>(s), dmin * static_cast<float>(m));
                    if (best >= 0 && !(e < best)) continue;
                    best = e;
                    out.s[g] = s;
                    out.m[g] = m;
                }
            out.error += best;
        }
        return out;
    }

    // d and dmin for fixed integers: least squares of x ~ d (s q) - dmin m.
    void refit(const Choice<kGroups>& c, double& d, double& dmin) const {
        double a = 0, b = 0, e = 0, p = 0, r = 0;
        for (int g = 0; g < kGroups; ++g) {
            const double s = c.s[g], m = c.m[g];
            const float scale = c.d * static_cast<float>(c.s[g]), inverse = scale != 0 ? 1 / scale : 0;
            const Moments q =
                moments<N, 0, top>(x + g * N, w + g * N, inverse, c.dmin * static_cast<float>(c.m[g]) * inverse);
            a += s * s * q.qq;
            b += s * m * q.q;
            e += m * m * sum_w[g];
            p += s * q.qx;
            r += m * sum_wx[g];
        }
        const double det = a * e - b * b;
        d = det > 0 ? (p * e - b * r) / det : a > 0 ? p / a : 0;
        dmin = det > 0 ? (b * p - a * r) / det : e > 0 ? -r / e : 0;
        d = std::max(d, 0.0);
        dmin = std::max(dmin, 0.0);
    }

    Choice<kGroups> search() const {
        float scale = 0, minimum = 0;
        for (const Fit& fit : fits) scale = std::max(scale, fit.scale), minimum = std::max(minimum, fit.minimum);
        Choice<kGroups> best = choose(half_step(scale / 63), half_step(minimum / 63));
        for (int round = 1; round < kRounds; ++round) {
            double d, dmin;
            refit(best, d, dmin);
            const Choice<kGroups> next = choose(half_step(d), half_step(dmin));
            if (!(next.error < best.error)) break;
            best = next;
        }
        return best;
    }
};

struct Scales {
    uint8_t s[8], m[8];
};

// The 12 bytes of Q4_K and Q5_K (load_scales in quantize_k.cpp).
void store_scales(const Scales& in, uint8_t* bytes) {
    for (int k = 0; k < 4; ++k) {
        bytes[k] = static_cast<uint8_t>(in.s[k] | in.s[k + 4] >> 4 << 6);
        bytes[k + 4] = static_cast<uint8_t>(in.m[k] | in.m[k + 4] >> 4 << 6);
        bytes[k + 8] = static_cast<uint8_t>((in.s[k + 4] & 15) | (in.m[k + 4] & 15) << 4);
    }
}

template <int top, class Block>
void encode_affine(const float* x, Block& b, uint8_t (&levels)[kSize]) {
    const Choice<8> c = Affine<top>(x).search();
    store_half(b.d, c.d);
    store_half(b.dmin, c.dmin);
    Scales scales;
    for (int g = 0; g < 8; ++g) {
        scales.s[g] = static_cast<uint8_t>(c.s[g]);
        scales.m[g] = static_cast<uint8_t>(c.m[g]);
        const float scale = c.d * static_cast<float>(c.s[g]), inverse = scale != 0 ? 1 / scale : 0;
        const float shift = c.dmin * static_cast<float>(c.m[g]) * inverse;
        float q[32];
        round_to_levels<32, 0, top>(x + g * 32, inverse, shift, q);
        for (int i = 0; i < 32; ++i) levels[g * 32 + i] = static_cast<uint8_t>(q[i]);
    }
    store_scales(scales, b.scales);
    for (int i = 0; i < kSize; ++i)
        b.q[i / 64 * 32 + i % 32] = static_cast<uint8_t>(b.q[i / 64 * 32 + i % 32] | (levels[i] & 15) << (i % 64 / 32 * 4));
}

void encode(const float* x, BlockQ4_K& b) {
    uint8_t levels[kSize];
    encode_affine<15>(x, b, levels);
}

void encode(const float* x, BlockQ5_K& b) {
    uint8_t levels[kSize];
    encode_affine<31>(x, b, levels);
    for (int i = 0; i < kSize; ++i) b.high[i % 32] = static_cast<uint8_t>(b.high[i % 32] | levels[i] >> 4 << (i / 32));
}

struct Symmetric {
    static constexpr int N = 16, kGroups = kSize / N;
    const float* x;
    float w[kSize];
    Fit fits[kGroups];

    explicit Symmetric(const float* values) : x(values) {
        for (int g = 0; g < kGroups; ++g) {
            weigh<N>(x + g * N, w + g * N);
            fits[g] = fit_symmetric<N>(x + g * N, w + g * N);
        }
    }

    Choice<kGroups> choose(float d) const {
        Choice<kGroups> out{d};
        for (int g = 0; g < kGroups; ++g) {
            const int s0 = nearest(fits[g].scale, d, -128, 127);
            double best = -1;
            for (const int s : {s0, s0 - 1, s0 + 1}) {
                if (s < -128 || s > 127) continue;
                const double e = error<N, -32, 31>(x + g * N, w + g * N, d * static_cast<float>(s), 0);
                if (best >= 0 && !(e < best)) continue;
                best = e;
                out.s[g] = s;
            }
            out.error += best;
        }
        return out;
    }

    double refit(const Choice<kGroups>& c) const {
        double a = 0, p = 0;
        for (int g = 0; g < kGroups; ++g) {
            const float scale = c.d * static_cast<float>(c.s[g]), inverse = scale != 0 ? 1 / scale : 0;
            const Moments q = moments<N, -32, 31>(x + g * N, w + g * N, inverse, 0);
            a += static_cast<double>(c.s[g]) * c.s[g] * q.qq;
            p += static_cast<double>(c.s[g]) * q.qx;
        }
        return a > 0 ? p / a : 0;
    }

    // The scale of largest magnitude becomes -128.
    Choice<kGroups> search() const {
        float extreme = 0;
        for (const Fit& fit : fits) extreme = std::abs(fit.scale) > std::abs(extreme) ? fit.scale : extreme;
        Choice<kGroups> best = choose(half_step(extreme / -128));
        for (int round = 1; round < kRounds; ++round) {
            const Choice<kGroups> next = choose(half_step(refit(best)));
            if (!(next.error < best.error)) break;
            best = next;
        }
        return best;
    }
};

void encode(const float* x, BlockQ6_K& b) {
    const Choice<16> c = Symmetric(x).search();
    store_half(b.d, c.d);
    float levels[kSize];
    for (int g = 0; g < 16; ++g) {
        const float scale = c.d * static_cast<float>(c.s[g]), inverse = scale != 0 ? 1 / scale : 0;
        round_to_levels<16, -32, 31>(x + g * 16, inverse, 0, levels + g * 16);
        b.scales[g] = static_cast<uint8_t>(c.s[g]);
    }
    for (int i = 0; i < kSize; ++i) {
        const int q = static_cast<int>(levels[i]) + 32;
        uint8_t &low = b.low[i / 128 * 64 + i % 64], &high = b.high[i / 128 * 32 + i % 32];
        low = static_cast<uint8_t>(low | (q & 15) << (i % 128 / 64 * 4));
        high = static_cast<uint8_t>(high | q >> 4 << (i % 128 / 32 * 2));
    }
}

template <class Block>
void encode_all(const float* values, int64_t count, uint8_t* out) {
    float buffer[kSize];
    for (; count > 0; count -= kSize, values += kSize, out += sizeof(Block)) {
        Block block{};
        const float* x = detail::cleaned(values, kSize, -kLimit, kLimit, buffer);
        if (std::any_of(x, x + kSize, [](float v) { return std::abs(v) >= kTiny; })) encode(x, block);
        std::memcpy(out, &block, sizeof block);
    }
}

}  // namespace

void detail::pack_k(DType type, const float* values, int64_t count, uint8_t* blocks) {
    switch (type) {
        case DType::Q4_K: return encode_all<BlockQ4_K>(values, count, blocks);
        case DType::Q5_K: return encode_all<BlockQ5_K>(values, count, blocks);
        case DType::Q6_K: return encode_all<BlockQ6_K>(values, count, blocks);
        default: CHECK(false);
    }
}

}  // namespace nib::quant

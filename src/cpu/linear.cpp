// Linear layers: y = residual + dropout(act(x w^T + b)), and its gradients.
//
// By rows, the executor has packed the weights and each call multiplies some rows by all of them. By columns, each call
// packs its part of the weights as it goes and multiplies all rows by it. Packing converts f16 and bf16 to floats. Few rows
// (decoding) are in linear_few_rows.cpp, weights in blocks in linear_blocks.cpp.
#include "cpu/epilogue.h"
#include "cpu/formats.h"
#include "cpu/gemm.h"

namespace nib::cpu::NIB_ISA {
namespace {

constexpr int64_t kDepth = 768;            // rows of a packed block: a panel of them stays in the L2 cache
constexpr int64_t kRowBlock = 256;         // rows of the left operand that are multiplied by all panels
constexpr int64_t kEpilogueRowBlock = 64;  // fewer with an epilogue, so that they are still in the cache for it
constexpr int64_t kWeightDepth = 256, kWeightColumns = 384, kGroup = 192;  // blocks in linear_backward_weight
constexpr int64_t kTileStride = kWeightDepth * kMR + 16;  // not a multiple of 4 KiB, or tiles compete for cache sets

// The product behind Linear and LinearBackward: out (R,N) = left (R,K) B (K,N), where B is w transposed or w.
struct Product {
    const float* left;
    const void* w;  // (N,ldw) when it is transposed, else (K,ldw)
    const float* bias;
    float* out;
    int64_t K, N, ldw;
    DType type;
    bool transposed, adds;

    explicit Product(const Call& call) {
        using F = operand::Linear;
        using B = operand::LinearBackward;
        const bool forward = call.op == Op::Linear;
        left = call.input<float>(forward ? +F::x : +B::dpre);
        w = call.data[forward ? +F::w : +B::w];
        type = call.type[forward ? +F::w : +B::w];
        bias = forward ? call.input<float>(F::b) : nullptr;
        out = forward ? product_of_linear(call) : call.output<float>(B::dx);
        K = forward ? call.p.C : call.p.N;
        N = forward ? call.p.N : call.p.C;
        ldw = call.p.C;
        transposed = forward;
        adds = !forward && call.adds(B::dx);
    }

    Start start(int64_t k) const { return adds || k > 0 ? Start::Add : bias ? Start::Bias : Start::Zero; }

    void pack(int64_t k, int64_t depth, int64_t nv, int64_t column, float* panel) const {
        const auto* floats = static_cast<const float*>(w);
        if (!transposed) return pack_rows(k, depth, nv, column, panel);
        const auto packed = [&](const auto* source) {
            pack_panel_transposed(source + column * ldw + k, ldw, depth, nv, N - column, panel);
        };
        if (type == DType::F16) return packed(static_cast<const Half*>(w));
        if (type == DType::BF16) return packed(static_cast<const BFloat*>(w));
        packed(floats);
    }

    // The same for w that is not transposed: rows k to k + depth.
    void pack_rows(int64_t k, int64_t depth, int64_t nv, int64_t column, float* panel) const {
        const auto packed = [&](const auto* source) {
            pack_panel(source + k * ldw + column, ldw, depth, nv, N - column, panel);
        };
        if (type == DType::F32) return packed(static_cast<const float*>(w));
        if (type == DType::F16) return packed(static_cast<const Half*>(w));
        if (type == DType::BF16) return packed(static_cast<const BFloat*>(w));
        // In blocks: unpacks the whole blocks that contain the columns, row by row.
        constexpr int64_t kLargest = 256;
        const int64_t first = column / kLargest * kLargest, end = min(ldw, column + nv * kWidth);
        float row[2 * kLargest + kNV * kWidth];
        for (int64_t i = 0; i < depth; ++i) {
            for (int64_t c = first; c < end; c += kLargest)
                unpack(type, row_of(type, w, k + i, ldw), c, min(kLargest, ldw - c), row + c - first);
            pack_panel(row + column - first, 0, 1, nv, N - column, panel + i * nv * kWidth);
        }
    }
};

void by_rows(const Call& call, Range rows) {
    const Product p(call);
    const Panels panels(p.N);
    const int64_t block = has_epilogue(call) ? kEpilogueRowBlock : kRowBlock;
    for (int64_t r = rows.begin; r < rows.end; r += block) {
        const int64_t M = min(block, rows.end - r);
        for (int64_t k = 0; k < p.K; k += kDepth) {
            const int64_t depth = min(kDepth, p.K - k);
            product<true>(M, p.N, depth, Left{p.left + r * p.K + k, p.K, 1},
                          static_cast<const float*>(call.packed) + k * panels.padded(), depth, 0, p.out + r * p.N, p.N,
                          p.bias, p.start(k), p.N);
        }
        finish(call, {r, r + M}, {0, p.N});
    }
}

void by_columns(const Call& call, Range columns, float* panel) {
    const Product p(call);
    const int64_t M = call.rows(), widest = kNV * kWidth;
    for (int64_t n = columns.begin; n < columns.end; n += widest) {
        const int64_t end = min(columns.end, n + widest), nv = (end - n + kWidth - 1) / kWidth;
        for (int64_t k = 0; k < p.K; k += kDepth) {
            const int64_t depth = min(kDepth, p.K - k);
            p.pack(k, depth, nv, n, panel);
            panel_product<true>(M, depth, Left{p.left + k, p.K, 1}, panel, nv, end - n, p.out + n, p.N,
                                p.bias ? p.bias + n : nullptr, p.start(k));
        }
    }
    finish(call, {0, M}, columns);
}

// Packs columns [0,count) of source (depth,ld) into tiles of kMR columns, each stored row by row.
void pack_columns(const float* source, int64_t ld, int64_t depth, int64_t count, float* target) {
    for (int64_t k = 0; k < depth; ++k) {
        const float* row = source + k * ld;
        int64_t i = 0;
        for (; i + kMR <= count; i += kMR)
            __builtin_memcpy(target + i / kMR * kTileStride + k * kMR, row + i, kMR * sizeof(float));
        for (int64_t j = 0; i + j < count; ++j) target[i / kMR * kTileStride + k * kMR + j] = row[i + j];
    }
}

// sum[i] = or += the column sums of source (depth,ld), columns [0,count), row by row.
void add_rows(const float* source, int64_t ld, int64_t depth, int64_t count, float* sum, bool adds) {
    if (!adds) for_each_vector(count, [&](int64_t i, auto, auto put) { put(sum + i, vf(0.0f)); });
    for (int64_t k = 0; k < depth; ++k)
        for_each_vector(count,
                        [&](int64_t i, auto get, auto put) { put(sum + i, get(sum + i) + get(source + k * ld + i)); });
}

}  // namespace

void linear_many_rows(const Call& call, Range units, void* scratch) {
    if (!call.p.by_columns) return by_rows(call, units);
    by_columns(call, units, static_cast<float*>(scratch));
}

void linear_backward(const Call& call, Range units, void* scratch) {
    if (!call.p.by_columns) return by_rows(call, units);
    by_columns(call, units, static_cast<float*>(scratch));
}

void linear_epilogue(const Call& call, Range rows, void*) {
    using O = operand::LinearEpilogue;
    const int64_t N = call.p.N;
    const vf scale(call.p.scale);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        const float* pre = call.input<float>(O::pre) + r * N;
        float* y = call.output<float>(O::y) + r * N;
        with_activation(call.p.act, [&]<Act act>() {
            for_each_vector(N, [&](int64_t i, auto get, auto put) { put(y + i, activate<act>(get(pre + i) * scale)); });
        });
        drop_and_add(call, r * N, N, call.has(O::residual) ? call.input<float>(O::residual) + r * N : nullptr, y);
    }
}

void linear_backward_epilogue(const Call& call, Range rows, void*) {
    using O = operand::LinearBackwardEpilogue;
    const int64_t end = rows.end * call.p.N;
    const vf scale(call.p.scale);
    const bool adds = call.adds(O::dpre);
    alignas(64) float factors[kDropoutGroup];
    for (int64_t first = rows.begin * call.p.N; first < end; first += kDropoutGroup) {
        const int64_t count = min(kDropoutGroup, end - first);
        const float* dy = call.input<float>(O::dy) + first;
        float* dpre = call.output<float>(O::dpre) + first;
        dropout_factors(call, static_cast<uint64_t>(first), count, factors);
        const auto put_sum = [&](int64_t i, vf d, auto get, auto put) __attribute__((always_inline)) {
            put(dpre + i, adds ? get(dpre + i) + d : d);
        };
        if (!call.has(O::pre)) {
            for_each_vector(count, [&](int64_t i, auto get, auto put) {
                put_sum(i, get(dy + i) * get(factors + i) * scale, get, put);
            });
            continue;
        }
        const float* pre = call.input<float>(O::pre) + first;
        with_activation(call.p.act, [&]<Act act>() {
            for_each_vector(count, [&](int64_t i, auto get, auto put) {
                const vf slope = activate_derivative<act>(get(pre + i) * scale);
                put_sum(i, get(dy + i) * slope * get(factors + i) * scale, get, put);
            });
        });
    }
}

namespace {

// Zeroes gradients, or leaves them if they accumulate: for steps without rows.
void clear_gradients(const Call& call, Range outputs) {
    using O = operand::LinearBackwardWeight;
    const auto clear = [&](int gradient, int64_t width) {
        if (call.has(gradient) && !call.adds_weight(gradient))
            __builtin_memset(call.output<float>(gradient) + outputs.begin * width, 0,
                             static_cast<size_t>((outputs.end - outputs.begin) * width) * sizeof(float));
    };
    clear(O::dw, call.p.C);
    clear(O::db, 1);
}

}  // namespace

// dw (N,C) = dpre^T (N,R) x (R,C) for some rows of dw: x is packed block by block, and so is dpre^T, since reading a column
// of dpre would touch a cache line per element.
void linear_backward_weight(const Call& call, Range outputs, void* scratch) {
    using O = operand::LinearBackwardWeight;
    const auto* dpre = call.input<float>(O::dpre);  // (R,N)
    const auto* x = call.input<float>(O::x);        // (R,C)
    auto* dw = call.output<float>(O::dw);           // (N,C)
    auto* db = call.output<float>(O::db);           // (N) or null
    const int64_t R = call.rows(), N = call.p.N, C = call.p.C, count = outputs.end - outputs.begin;
    if (R == 0) clear_gradients(call, outputs);
    auto* const right = static_cast<float*>(scratch);  // (kWeightDepth, kWeightColumns) in panels
    auto* const left = right + kWeightDepth * round_up(kWeightColumns, kNV * kWidth);  // (kGroup / kMR tiles)
    for (int64_t c = 0; c < C; c += kWeightColumns) {
        const int64_t columns = min(kWeightColumns, C - c);
        const Panels panels(columns);
        for (int64_t r = 0; r < R; r += kWeightDepth) {
            const int64_t depth = min(kWeightDepth, R - r);
            const Start start = r > 0 || call.adds_weight(O::dw) ? Start::Add : Start::Zero;
            pack_all(false, x + r * C + c, C, depth, columns, right);
            if (db && c == 0)
                add_rows(dpre + r * N + outputs.begin, N, depth, count, db + outputs.begin,
                         r > 0 || call.adds_weight(O::db));
            for (int64_t g = 0; g < count; g += kGroup) {
                const int64_t group = min(kGroup, count - g);
                pack_columns(dpre + r * N + outputs.begin + g, N, depth, group, left);
                for (int64_t p = 0; p < panels.count; ++p) {
                    const int64_t at = panels.first(p) * kWidth;
                    for (int64_t i = 0; i < group; i += kMR)
                        panel_product<false>(min<int64_t>(kMR, group - i), depth,
                                             Left{left + i / kMR * kTileStride, 1, kMR}, right + at * depth,
                                             panels.width(p), columns - at, dw + (outputs.begin + g + i) * C + c + at, C,
                                             nullptr, start);
                }
            }
        }
    }
}

size_t linear_scratch_bytes(const Call& call) {
    if (call.op == Op::LinearBackwardWeight)
        return static_cast<size_t>(kWeightDepth * round_up(kWeightColumns, kNV * kWidth) + kGroup / kMR * kTileStride) *
               sizeof(float);
    return call.p.by_columns ? static_cast<size_t>(kDepth * kNV * kWidth) * sizeof(float) : 0;
}

size_t linear_packed_bytes(const Call& call) {
    if ((call.op != Op::Linear && call.op != Op::LinearBackward) || call.p.by_columns) return 0;
    const Product p(call);
    return static_cast<size_t>(p.K * Panels(p.N).padded()) * sizeof(float);
}

int64_t linear_pack_units(const Call& call) {
    const Product p(call);
    return Panels(p.N).count;
}

void linear_pack(const Call& call, Range units, void* packed) {
    const Product p(call);
    const Panels panels(p.N);
    for (int64_t k = 0; k < p.K; k += kDepth) {
        const int64_t depth = min(kDepth, p.K - k);
        for (int64_t u = units.begin; u < units.end; ++u) {
            const int64_t at = panels.first(u) * kWidth;
            p.pack(k, depth, panels.width(u), at, static_cast<float*>(packed) + k * panels.padded() + at * depth);
        }
    }
}

}  // namespace nib::cpu::NIB_ISA

// What a kernel sees: plain data only. Every backend's kernels include this file, also those that are compiled for one
// instruction set, so it must hold nothing that the compiler could emit as a shared inline function.
//
// Dimensions (the whole project's dictionary): B batch, T time, R = B*T rows, C channels in, N channels out, V vocabulary,
// H heads, S rows of a key/value cache or of the position table. Tensors are row-major, shapes outermost first.
//
// Tensors are float, except indices (int32), partial sums (double) and, in inference, those that Params::type speaks of:
// wte and wpe of Embed, w of Linear (any type of core/dtype.h that ref/quantize.h unpacks), keys and values (F32 or F16).
// Linear on a w in blocks (Q8_0, ...) is by columns and quantizes x to 8 bits (ref/quantize.h). On GPUs: Node::halves, too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace nib {

// clang-format off
enum class Op : uint8_t {
    // op                   in -> out                                                             split into units of
    Embed,               // ids (R), positions (R), wte (V,C), wpe (S,C)? -> y (R,C)              rows R
    EmbedBackward,       // dy (R,C), ids (R), positions (R) -> dwte (V,C), dwpe (S,C)?           columns C
    Norm,                // x (R,C), gain (C), bias (C)? -> y (R,C), mean (R)?, rstd (R)?         rows R
    NormBackward,        // dy (R,C), x (R,C), gain (C), mean (R), rstd (R) -> dx (R,C)           rows R
    NormBackwardWeight,  // dy (R,C), x (R,C), mean (R), rstd (R) -> dgain (C), dbias (C)?        columns C
    Linear,              // x (R,C), w (N,C), b (N)?, residual (R,N)? -> y (R,N), pre (R,N)?      rows R or columns N
    LinearBackwardEpilogue,  // dy (R,N), pre (R,N)? -> dpre (R,N)                                rows R
    LinearBackward,      // dpre (R,N), w (N,C) -> dx (R,C)                                       rows R or columns C
    LinearBackwardWeight,  // dpre (R,N), x (R,C) -> dw (N,C), db (N)?                            rows of dw N
    Attention,           // qkv (R,3C) -> y (R,C), lse (B,H,T)                                    heads B*H
    AttentionBackward,   // dy (R,C), qkv (R,3C), y (R,C), lse (B,H,T) -> dqkv (R,3C)             heads B*H
    AttentionCached,     // qkv (R,3C), positions (R) -> y (R,C), keys (B,H,S,C/H), values same   heads B*H
    GatherRows,          // x (R,C), rows (N) -> y (N,C)                                          rows N
    CrossEntropy,        // logits (R,V), targets (R) -> loss (R), dlogits (R,V)?, predicted (R)? rows R
    SumSquares,          // x (C) -> partial (ceil(C/kSumBlock)) in double                        blocks
    ClipFactor,          // partial (N) in double -> stats (2): global norm, factor               1
    AdamW,               // g (C), stats (2) -> w (C), m (C), v (C), in place                     elements C
    Sgd,                 // g (C), stats (2) -> w (C), m (C)?, in place                           elements C
    Count,
};
// clang-format on
constexpr int kOpCount = static_cast<int>(Op::Count);
constexpr int64_t kSumBlock =
    65536;  // elements per partial sum of SumSquares, fixed so that results never depend on threads
/// Linear by columns: up to here kernels may sum in another order than beyond.
constexpr int64_t kFewRows = 16;
constexpr int kMaxIn = 5, kMaxOut = 3;

enum class Act : uint8_t { None, GeluTanh, GeluErf, Relu };

/// A target that does not count: no loss, no gradient.
constexpr int32_t kIgnore = -1;

/// Constants of a node, fixed when it is recorded.
struct Params {
    int64_t B = 0, T = 0, C = 0, N = 0, H = 0, S = 0;  // dimensions as in the table above; CrossEntropy's V is N
    float eps = 0;                                     // Norm
    DType type = DType::F32;                           // of wte (Embed), w (Linear), keys and values (AttentionCached)
    DType position_type = DType::F32;                  // of wpe (Embed)
    Act act = Act::None;                               // Linear
    bool by_columns = false;                           // Linear, LinearBackward: units are output columns, not rows
    bool decay = false;                                // AdamW, Sgd: weight decay applies
    uint32_t dropout = 0;  // probability in 1/65536: an element is dropped when its 16 random bits are below it
    uint32_t stream = 0;   // which dropout mask of the model: the third word of the Philox counter
};

/// What changes from step to step: an input of every plan.
struct Step {
    uint64_t seed = 0;        // dropout: Philox key
    uint32_t index = 0;       // dropout: number of the micro-batch, the fourth word of the Philox counter
    uint32_t accumulate = 0;  // 1: weight gradients are added to those of earlier micro-batches, 0: overwritten
    int64_t rows = 0;         // inference with B = 1: rows of this run, at most T; 0: all
    float loss_scale = 0;     // factor of dlogits: 1 / (counted rows * micro-batches)
    float clip = 0;           // largest global gradient norm; 0: no clipping
    float lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0, momentum = 0;
    float correction1 = 1, correction2 = 1;  // AdamW: 1 - beta^t
};

/// One kernel launch with resolved addresses. Absent optional tensors are null.
struct Call {
    Op op = Op::Count;
    uint8_t accumulate = 0;  // bit i: out[i] += instead of =
    Params p;
    const Step* step = nullptr;
    const void* in[kMaxIn] = {};
    void* out[kMaxOut] = {};
    const void* packed = nullptr;  // CPU: weights in the kernel's own panel order, when the executor has packed them

    template <class T>
    [[gnu::always_inline]] inline const T* input(int i) const {
        return static_cast<const T*>(in[i]);
    }
    template <class T>
    [[gnu::always_inline]] inline T* output(int i) const {
        return static_cast<T*>(out[i]);
    }
    /// Rows of this run, R or fewer.
    [[gnu::always_inline]] inline int64_t rows() const {
        return p.B == 1 && step->rows > 0 && step->rows < p.T ? step->rows : p.B * p.T;
    }
    /// Whether output i is added to rather than overwritten.
    [[gnu::always_inline]] inline bool adds(int i) const { return (accumulate >> i & 1) != 0; }
    /// The same for gradients of weights, which also add up over micro-batches.
    [[gnu::always_inline]] inline bool adds_weight(int i) const { return adds(i) || step->accumulate != 0; }
};

/// Half-open range of units.
struct Range {
    int64_t begin = 0, end = 0;
};

/// A kernel computes units [begin, end) of a call. `scratch` has the table's scratch_bytes(call), 64-byte aligned, private
/// to the calling thread. What a unit computes never depends on the range that it was called with.
using Kernel = void (*)(const Call&, Range units, void* scratch);

/// The kernels of one instruction set, or the scalar reference.
struct KernelTable {
    const char* name = nullptr;
    Kernel run[kOpCount] = {};
    int64_t (*grain)(const Call&) = nullptr;  // where units are shared out, ranges begin at multiples of this; null: 1
    size_t (*scratch_bytes)(const Call&) = nullptr;         // null: none
    void (*prepare)(const Call&, void* scratch) = nullptr;  // null: nothing; else before a thread's first piece of a call
    size_t (*packed_bytes)(const Call&) = nullptr;          // size of Call::packed; 0 or null: the call is not packed
    int64_t (*pack_units)(const Call&) = nullptr;           // packing is split into this many units
    void (*pack)(const Call&, Range units, void* packed) = nullptr;
    /// For benchmarks: runs `rounds` of independent multiply-adds and returns how many operations that were.
    double (*peak_flops)(int64_t rounds, float* sink) = nullptr;
    /// For benchmarks: reads `count` floats front to back and returns their sum.
    float (*read_memory)(const float* data, int64_t count) = nullptr;
};

}  // namespace nib

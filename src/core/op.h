// What a kernel sees: plain data only. Kernels compiled for one instruction set include this file, too, so it must hold
// nothing that the compiler could emit as a shared inline function.
//
// The operations, their operands and dimensions are listed in core/op_table.inc. Tensors are row-major, shapes outermost
// first. Linear on weights in blocks (Q8_0, ...) is by columns and quantizes x to 8 bits (quant/quantize.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace nib {

enum class Op : uint8_t {
#define OP(Name, ...) Name,
#include "core/op_table.inc"
    Count,
};
constexpr int kOpCount = static_cast<int>(Op::Count);

/// Operands are numbered: inputs from 0 on, outputs from kMaxIn on.
constexpr int kMaxIn = 8, kMaxOut = 4, kMaxOperands = kMaxIn + kMaxOut;

/// These numbers by name: operand::Linear::x is 0, operand::Linear::y is kMaxIn.
namespace operand {
#define OP(Name, name, inputs, outputs, ...)                  \
    struct Name {                                             \
        enum : int { inputs kInputs_ = kMaxIn - 1, outputs }; \
    };
#define IN(name, ...) name,
#define OPTIONAL_IN(name, ...) name,
#define OUT(name, ...) name,
#define OPTIONAL_OUT(name, ...) name,
#include "core/op_table.inc"
}  // namespace operand

/// Elements per partial sum of SumSquares, fixed so that results never depend on threads.
constexpr int64_t kSumBlock = 65536;
/// Linear by columns: up to this many rows (kFewFloatRows of cpu/kernels.h for floats), sums may be in another order.
constexpr int64_t kFewRows = 16;

/// SwiGLU's gate (Shazeer 2020) is Silu; as an activation of Linear it is Swish-1.
enum class Act : uint8_t { None, GeluTanh, GeluErf, Relu, Silu, Tanh };
constexpr int kActCount = 6;

/// How PreferenceLoss judges a margin: cross-entropy (Rafailov et al. 2023), hinge loss (Zhao et al. 2023), or its squared
/// distance from a target (Azar et al. 2023).
enum class Preference : uint8_t { Sigmoid, Hinge, Ipo };
constexpr int kPreferenceCount = 3;

/// A target that does not count: no loss, no gradient.
constexpr int32_t kIgnore = -1;

/// Constants of a node, fixed when it is recorded.
struct Params {
    // Dimensions, named in core/op_table.inc. D is the size of a head.
    int64_t B = 0, T = 0, C = 0, N = 0, H = 0, G = 0, S = 0, L = 0, K = 0, D = 0;
    float eps = 0;          // Norm; Normalize: the least length
    float scale = 1;        // Attention, Similarity: of the scores; Embed: of the token's row; LinearEpilogue: of what it
                            // takes; AdamW, Sgd, Adagrad: of the learning rate
    float smoothing = 0;    // CrossEntropy: share of the target that all tokens have alike; PreferenceLoss: the chance that
                            // the rejected side is the better one
    float beta = 0;         // PolicyLoss: weight of the divergence from the reference; PreferenceLoss: of the margin
    int64_t first_row = 0;  // of a view: its first row within the whole tensor, for row counts
    int64_t window = 0;     // Attention: a query sees at most so many keys, up to its own; 0: all
    Act act = Act::None;    // Linear, Glu
    bool causal = false;    // Attention: query t sees keys 0 to t, of those the spans allow
    bool rms = false;       // Norm: root mean square (Zhang, Sennrich 2019), without mean
    bool interleaved = false;  // Rope: pairs are neighbours (2i, 2i + 1), not (i, i + S/2)
    bool inverse = false;      // Rope: rotates back, which is the gradient
    bool by_columns = false;   // Linear, LinearBackward: units are output columns, not rows
    bool decay = false;        // AdamW, Sgd, Adagrad: weight decay applies
    bool l2 = false;           // AdamW: decay is part of the gradient, as in Adam
    bool binary = false;       // ValueLoss: cross-entropy of yes and no, not squared error
    uint32_t dropout = 0;      // probability in 1/65536: an element is dropped when its 16 random bits are below it
    uint32_t stream = 0;       // which dropout mask of the model: the third word of the Philox counter
    float entropy_weight = 0;  // PolicyLoss
    float clip_low = 0;        // PolicyLoss, ValueLoss: how far below 1, or the old value, a ratio or value counts,
    float clip_high = 0;       // and how far above
    Preference preference{};   // PreferenceLoss
};

/// Row counts of a step: encoder, decoder and gathered rows have their own.
constexpr int kRowCounts = 4;

/// What changes from step to step: an input of every plan.
struct Step {
    uint64_t seed = 0;              // dropout: Philox key
    uint32_t index = 0;             // dropout: number of the micro-batch, the fourth word of the Philox counter
    uint32_t accumulate = 0;        // 1: weight gradients are added to those of earlier micro-batches, 0: overwritten
    int64_t rows[kRowCounts] = {};  // rows in use of the tensors with that row count; the rest is not computed; 0: all
    float loss_scale = 0;           // factor of a loss's gradient: 1 / counted rows of the whole step
    float clip = 0;                 // largest global gradient norm; 0: no clipping
    float lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0, momentum = 0;
    float correction1 = 1, correction2 = 1;  // AdamW: 1 - beta^t
};

/// One kernel launch with resolved addresses. Operands are numbered as in `operand`; absent ones are null.
struct Call {
    Op op = Op::Count;
    uint8_t accumulate = 0;     // bit i: output kMaxIn + i: += instead of =
    int8_t row_count = -1;      // of Step::rows, for the rows B*T; -1: all are in use
    int8_t key_row_count = -1;  // the same for Attention's rows of keys, and for N rows or texts: Gather, MeanRows
    Params p;
    const Step* step = nullptr;
    void* data[kMaxOperands] = {};
    DType type[kMaxOperands] = {};
    int64_t stride[kMaxOperands] = {};  // elements from row to row of an operand that is a slice of columns
    const void* packed = nullptr;       // CPU: weights in the kernel's own panel order, when the executor has packed them

    [[gnu::always_inline]] inline bool has(int operand) const { return data[operand] != nullptr; }
    template <class T>
    [[gnu::always_inline]] inline const T* input(int operand) const {
        return static_cast<const T*>(data[operand]);
    }
    template <class T>
    [[gnu::always_inline]] inline T* output(int operand) const {
        return static_cast<T*>(data[operand]);
    }
    /// Rows of this run, at most R.
    [[gnu::always_inline]] inline int64_t rows() const { return live(row_count, p.B * p.T, p.first_row); }
    /// Rows of keys in this run, at most B*S.
    [[gnu::always_inline]] inline int64_t key_rows() const { return live(key_row_count, p.B * p.S, 0); }
    /// Of N rows that are gathered or N texts, those of this run.
    [[gnu::always_inline]] inline int64_t gathered_rows() const { return live(key_row_count, p.N, 0); }
    [[gnu::always_inline]] inline int64_t live(int8_t count, int64_t all, int64_t first) const {
        if (count < 0 || step->rows[count] == 0) return all;
        const int64_t rows = step->rows[count] - first;
        return rows < 0 ? 0 : rows < all ? rows : all;
    }
    /// Whether an output is added to rather than overwritten.
    [[gnu::always_inline]] inline bool adds(int operand) const { return (accumulate >> (operand - kMaxIn) & 1) != 0; }
    /// The same for gradients of weights, which also add up over micro-batches.
    [[gnu::always_inline]] inline bool adds_weight(int operand) const { return adds(operand) || step->accumulate != 0; }
};

/// Half-open range of units.
struct Range {
    int64_t begin = 0, end = 0;
};

/// Computes units [begin, end) of a call. `scratch` has scratch_bytes(call) of the table, 64-byte aligned, private to the
/// calling thread. The result of a unit does not depend on the range that it is part of.
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
    bool (*same_packing)(const Call&, const Call&) = nullptr;  // null: never; else whether one may use the other's
    void (*pack)(const Call&, Range units, void* packed) = nullptr;
    /// For benchmarks: runs `rounds` of independent multiply-adds and returns how many operations that were.
    double (*peak_flops)(int64_t rounds, float* sink) = nullptr;
    /// For benchmarks: reads `count` floats front to back and returns their sum.
    float (*read_memory)(const float* data, int64_t count) = nullptr;
};

}  // namespace nib

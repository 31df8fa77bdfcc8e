// Cases of single ops: which options an op has, and shapes and options enough to test its kernels. Operands, dimensions and
// options come from the op's row in core/op_table.inc.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/op_table.h"

namespace nib::check {

/// Numbers that depend on the seed alone, the same with every compiler and library.
class Random {
public:
    explicit Random(uint64_t seed) : seed_(seed) {}
    uint32_t bits();
    int64_t below(int64_t n) { return static_cast<int64_t>(uint64_t{bits()} * static_cast<uint64_t>(n) >> 32); }
    int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
    /// In (low, high), and exactly a float.
    float uniform(float low = -1, float high = 1) {
        return low + (high - low) * (static_cast<float>(bits() >> 8) + 0.5f) * 0x1p-24f;
    }

private:
    uint64_t seed_;
    uint32_t count_ = 0;
    std::array<uint32_t, 4> block_{};
};

/// One op, its dimensions and what else its kernel may be asked to do. Arrays are by operand.
struct OpCase {
    Op op = Op::Count;
    Params p;
    Step step;
    int8_t row_count = -1, key_row_count = -1;  // as Call's
    uint8_t accumulate = 0;                     // as Call's
    std::array<bool, kMaxOperands> absent{};    // optional operands that are left out
    std::array<DType, kMaxOperands> types{};    // of activations, weights and caches
    bool in_place = false;                      // an output takes the place of the input that its row names
    bool sliced = false;                        // operands that may be slices lie in wider rows
    bool misaligned = false;                    // tensors begin one element after an aligned address
    uint64_t seed = 1;                          // of the values
    int special_in = -1;                        // one number of this input, if there is one of floats, is `special`
    float special = 0;

    bool has(int operand) const { return op_info(op).operands[operand] && !absent[static_cast<size_t>(operand)]; }
    DType type(int operand) const;
    /// An activation that a backend gets or gives as half floats; kernels get floats that are rounded so.
    bool is_f16_activation(int operand) const;
    /// The output that takes an input's place, and that input; -1: none does.
    struct Replaced {
        int output = -1, input = -1;
    };
    Replaced replaced() const;
    std::string text() const;
};

/// One case with options from a number. Of attention `dimensions` has B, T, C, S, H, G, K, D; of its cache N, too. The
/// other ops have B, T, C, N, S, L; what else they need follows from these.
OpCase make_case(Op op, const Params& dimensions, uint64_t options);

/// Calls body(case) for cases that cover every size of `sizes` in every dimension of the op, with changing options, and
/// the combinations of options at one shape: all of them, or of many a random choice.
void for_each_case(Op op, const std::vector<int64_t>& sizes, const std::function<void(const OpCase&)>& body);

/// Cases with weights and caches of every other type, if the op takes any.
void for_each_typed_case(Op op, const std::function<void(const OpCase&)>& body);

/// Cases with every combination of f16 activations that the op takes, if it takes any.
void for_each_case_of_f16(Op op, const std::function<void(const OpCase&)>& body);

/// The op's few large shapes, and steps with fewer live rows than the plan was made for, if it has such.
void for_each_large_case(Op op, const std::function<void(const OpCase&)>& body);
void for_each_case_of_fewer_rows(Op op, const std::function<void(const OpCase&)>& body);

}  // namespace nib::check

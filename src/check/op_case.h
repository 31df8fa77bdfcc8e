// Test cases of single ops: shapes and options that cover an op's kernels. Operands, dimensions and options come from the
// op's row in core/op_table.inc.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/op_table.h"

namespace nib::check {

/// Random numbers that depend on the seed alone, the same with every compiler and library.
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

/// One op with dimensions and options. Arrays are by operand.
struct OpCase {
    Op op = Op::Count;
    Params p;
    Step step;
    int8_t row_count = -1, key_row_count = -1;  // as Call's
    uint8_t accumulate = 0;                     // as Call's
    std::array<bool, kMaxOperands> absent{};    // optional operands that are left out
    std::array<DType, kMaxOperands> types{};    // of activations, weights and caches
    bool in_place = false;                      // an output overwrites the input that its row names
    bool sliced = false;                        // operands that may be slices are
    bool misaligned = false;                    // tensors begin one element after an aligned address
    uint64_t seed = 1;                          // of the values
    int special_in = -1;                        // one element of this input, if it is of floats, is `special`
    float special = 0;

    bool has(int operand) const { return op_info(op).operands[operand] && !absent[static_cast<size_t>(operand)]; }
    DType type(int operand) const;
    /// An activation that is F16 on a backend; kernels get floats, rounded to F16.
    bool is_f16_activation(int operand) const;
    /// The output that overwrites an input, and that input; -1: none.
    struct Replaced {
        int output = -1, input = -1;
    };
    Replaced replaced() const;
    std::string text() const;
};

/// A case whose options are decoded from a number. Attention takes B, T, C, S, H, G, K, D of `dimensions`, its cache N,
/// too; other ops take B, T, C, N, S, L. Other dimensions follow from these.
OpCase make_case(Op op, const Params& dimensions, uint64_t options);

/// Calls body(case) for cases with every size of `sizes` in every dimension of the op and varying options, and for the
/// combinations of options at one shape: all of them, or a random choice if there are many.
void for_each_case(Op op, const std::vector<int64_t>& sizes, const std::function<void(const OpCase&)>& body);

/// Cases with weights and caches of every other type, if the op takes any.
void for_each_typed_case(Op op, const std::function<void(const OpCase&)>& body);

/// Cases with every combination of f16 activations that the op takes, if it takes any.
void for_each_case_of_f16(Op op, const std::function<void(const OpCase&)>& body);

/// A few large shapes, and steps that use fewer rows than the plan has, if the op has such cases.
void for_each_large_case(Op op, const std::function<void(const OpCase&)>& body);
void for_each_case_of_fewer_rows(Op op, const std::function<void(const OpCase&)>& body);

}  // namespace nib::check

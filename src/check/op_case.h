// Cases of single ops: which options an op has, and shapes and options enough to test its kernels.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/op.h"

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

/// One op, its dimensions and what else its kernel may be asked to do.
struct OpCase {
    Op op = Op::Count;
    Params p;
    Step step;
    uint8_t accumulate = 0;
    unsigned without_in = 0, without_out = 0;  // bit i: optional tensor i is absent
    bool in_place = false;                     // LinearBackwardEpilogue, CrossEntropy: the gradient replaces its input
    uint8_t halves = 0;                        // activations that a backend gets and gives as half floats, as Node::halves
    bool misaligned = false;                   // tensors begin one element after an aligned address
    uint64_t seed = 1;                         // of the values
    int special_in = -1;                       // one number of this input, if there is one of floats, is `special`
    float special = 0;

    std::string text() const;
};

/// One case with options from a number.
OpCase make_case(Op op, int64_t B, int64_t T, int64_t C, int64_t N, int64_t H, int64_t S, uint64_t options);

/// Calls body(case) for cases that cover every size of `sizes` in every dimension of the op, with changing options, and
/// every combination of options at one shape.
void for_each_case(Op op, const std::vector<int64_t>& sizes, const std::function<void(const OpCase&)>& body);

/// Cases with tensors of every other type that the op takes (Params::type), if it takes any.
void for_each_typed_case(Op op, const std::function<void(const OpCase&)>& body);

/// Cases with every combination of activations of half floats that the op takes, if it takes any.
void for_each_case_of_halves(Op op, const std::function<void(const OpCase&)>& body);

/// The same for the op's few large shapes, and for runs of fewer rows than the plan was made for, if it has such.
void for_each_large_case(Op op, const std::function<void(const OpCase&)>& body);
void for_each_case_of_fewer_rows(Op op, const std::function<void(const OpCase&)>& body);

}  // namespace nib::check

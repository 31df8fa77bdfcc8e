// Random data for a test case of an op, in guarded tensors, and runs of any kernel table on it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "check/guarded_tensor.h"
#include "check/op_case.h"

namespace nib::check {

/// The tensors of a case, with values that depend on the case alone, for kernels on Real = float or double. Whatever the op
/// must not read is NaN: outputs until they are written, unused rows, cache rows that no query sees.
template <class Real>
class Operands {
public:
    explicit Operands(const OpCase& c);
    Operands(const Operands&) = delete;
    Operands& operator=(const Operands&) = delete;

    const OpCase& description() const { return case_; }
    const Call& call() const { return call_; }
    GuardedTensor& operator[](int operand) { return tensors_[static_cast<size_t>(operand)]; }
    const GuardedTensor& operator[](int operand) const { return tensors_[static_cast<size_t>(operand)]; }

    /// The call's units in pieces, as the executor may divide them, in any order.
    std::vector<Range> cut(const KernelTable& table, Random& random) const;
    /// Runs the ranges one after the other, with packed weights if the table packs them, as the executor would.
    void run(const KernelTable& table, const std::vector<Range>& ranges);
    void run(const KernelTable& table);
    /// The memory that a kernel has overrun: "x", "scratch"; empty: none.
    const std::string& overrun() const { return overrun_; }

private:
    GuardedTensor& named(const char* operand) { return (*this)[op_info(case_.op).find(operand)]; }
    void place();
    void fill();
    void fill_operand(int operand);
    void fill_dependent();
    void fill_weights(GuardedTensor& t);
    void fill_norm_statistics();
    void fill_spans();
    void fill_attention_result();
    std::vector<int64_t> fill_slots();
    void fill_positions();
    void fill_cache();
    void fill_logits();
    void fill_lengths();
    void fill_values();
    void fill_policy();
    void fill_pairs();
    void fill_texts();
    void fill_answers();
    void fill_special(GuardedTensor& t);
    void poison_unused_rows(int operand);

    OpCase case_;
    Call call_;
    std::array<GuardedTensor, kMaxOperands> tensors_;
    Random random_{case_.seed};
    std::string overrun_;
};

}  // namespace nib::check

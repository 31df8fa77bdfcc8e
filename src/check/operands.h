// Random data for a case of an op: the tensors that it needs, between guards, and runs on them with any kernel table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/op.h"
#include "check/op_case.h"

namespace nib::check {

/// A tensor between guard zones. Everything starts as a NaN of one pattern, so that reading too far shows in the result,
/// and writing too far in the guards; AddressSanitizer sees both.
class GuardedTensor {
public:
    GuardedTensor() = default;
    GuardedTensor(DType type, int64_t count, bool misaligned);
    GuardedTensor(GuardedTensor&&) = default;
    GuardedTensor& operator=(GuardedTensor&&) = default;

    bool present() const { return !memory_.empty(); }
    DType type() const { return type_; }
    size_t count() const { return count_; }
    size_t bytes() const { return dtype_bytes(type_, static_cast<int64_t>(count_)); }
    std::byte* data() { return memory_.data() + begin_; }
    const std::byte* data() const { return memory_.data() + begin_; }
    template <class T>
    T* as() {
        return reinterpret_cast<T*>(data());
    }
    template <class T>
    const T* as() const {
        return reinterpret_cast<const T*>(data());
    }
    /// While a kernel runs, AddressSanitizer refuses access to the guards.
    void close(bool closed);
    bool guards_intact() const;

private:
    DType type_ = DType::F32;
    size_t count_ = 0, begin_ = 0;
    std::vector<std::byte> memory_;
};

/// The tensors of a case, with values that depend on the case alone, for kernels on Real = float or double. An output that
/// the op does not read is NaN until it is written.
template <class Real>
class Operands {
public:
    explicit Operands(const OpCase& c);
    Operands(const Operands&) = delete;
    Operands& operator=(const Operands&) = delete;

    const OpCase& description() const { return case_; }
    const Call& call() const { return call_; }
    GuardedTensor in[kMaxIn], out[kMaxOut];

    /// The call's units, in pieces as the executor may cut them, in any order.
    std::vector<Range> cut(const KernelTable& table, Random& random) const;
    /// Runs the ranges one after the other, with packed weights if the table packs them, as the executor would.
    void run(const KernelTable& table, const std::vector<Range>& ranges);
    void run(const KernelTable& table);
    /// What a kernel has written outside of: "in[0]", "scratch"; empty: nothing.
    const std::string& overrun() const { return overrun_; }

private:
    struct Slot {
        int64_t count;
        DType type = DType::F32;  // stands for Real
    };
    void place();
    void place(std::initializer_list<Slot> ins, std::initializer_list<Slot> outs);
    void fill();
    void fill(GuardedTensor& t, float low, float high);
    void round_to_halves(GuardedTensor& t);
    void fill_weights(GuardedTensor& t);
    void fill_indices(GuardedTensor& t, int64_t below);
    void fill_norm_statistics(const GuardedTensor& x, GuardedTensor& mean, GuardedTensor& rstd);
    void fill_attention_result();
    void fill_cache();
    void fill_logits();
    void fill_special(GuardedTensor& t);
    void replace(int i);

    OpCase case_;
    Call call_;
    Random random_{case_.seed};
    std::string overrun_;
};

}  // namespace nib::check

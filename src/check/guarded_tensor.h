// Memory for a tensor that shows when a kernel reads or writes beyond it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/dtype.h"

namespace nib::check {

/// A tensor between guard zones, or a slice: columns of wider rows of which the rest is guarded, too. Everything starts as
/// a NaN of one pattern, so that reading too far shows in the result, and writing too far in the guards; AddressSanitizer
/// sees both but for the columns between.
class GuardedTensor {
public:
    GuardedTensor() = default;
    /// `rows` of `width` elements, which begin `stride` elements apart. Blocks (core/dtype.h) are of a single row.
    GuardedTensor(DType type, int64_t rows, int64_t width, int64_t stride, bool misaligned);
    GuardedTensor(DType type, int64_t count, bool misaligned) : GuardedTensor(type, 1, count, count, misaligned) {}
    GuardedTensor(GuardedTensor&&) = default;
    GuardedTensor& operator=(GuardedTensor&&) = default;

    bool present() const { return !memory_.empty(); }
    DType type() const { return type_; }
    size_t count() const { return rows_ * width_; }
    size_t width() const { return width_; }
    size_t stride() const { return stride_; }
    /// From the first element to the last.
    size_t bytes() const;
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
    /// Element i of all rows.
    template <class T>
    T& at(size_t i) {
        return as<T>()[i / width_ * stride_ + i % width_];
    }
    template <class T>
    const T& at(size_t i) const {
        return as<T>()[i / width_ * stride_ + i % width_];
    }
    /// Makes elements [begin, end) NaN, or -1, again. Not of blocks.
    void forget(size_t begin, size_t end);
    /// While a kernel runs, AddressSanitizer refuses access to the guards.
    void close(bool closed);
    bool guards_intact() const;

private:
    DType type_ = DType::F32;
    size_t rows_ = 0, width_ = 0, stride_ = 0, begin_ = 0;
    std::vector<std::byte> memory_;
};

}  // namespace nib::check

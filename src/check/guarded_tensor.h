// A tensor in memory that reveals out-of-bounds reads and writes of a kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/dtype.h"

namespace nib::check {

/// A tensor between guard zones. It may be a slice, columns of wider rows whose other columns are guarded, too. All memory
/// starts as one NaN pattern: reads out of bounds show in the result, writes in the guards. AddressSanitizer catches both,
/// except in the columns between slices.
class GuardedTensor {
public:
    GuardedTensor() = default;
    /// `rows` rows of `width` elements, `stride` elements apart. Types in blocks (core/dtype.h) have a single row.
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
    /// Makes elements [begin, end) NaN, or -1, again. Not for types in blocks.
    void poison(size_t begin, size_t end);
    /// While a kernel runs, AddressSanitizer refuses access to the guards.
    void lock_guards(bool locked);
    bool guards_intact() const;

private:
    DType type_ = DType::F32;
    size_t rows_ = 0, width_ = 0, stride_ = 0, begin_ = 0;
    std::vector<std::byte> memory_;
};

}  // namespace nib::check

#include "check/guarded_tensor.h"

#include <algorithm>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, size) (void(address), void(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (void(address), void(size))
#endif

namespace nib::check {
namespace {

constexpr std::byte kPattern{0xFF};  // a NaN in every type of floats, -1 in int32
constexpr size_t kGuard = 256, kAlign = 64;

bool untouched(const std::byte* begin, const std::byte* end) {
    return std::all_of(begin, end, [](std::byte b) { return b == kPattern; });
}

}  // namespace

GuardedTensor::GuardedTensor(DType type, int64_t rows, int64_t width, int64_t stride, bool misaligned)
    : type_(type),
      rows_(static_cast<size_t>(rows)),
      width_(static_cast<size_t>(width)),
      stride_(static_cast<size_t>(stride)),
      memory_(2 * kGuard + bytes() + 2 * kAlign, kPattern) {
    const size_t start = reinterpret_cast<uintptr_t>(memory_.data()) % kAlign;
    begin_ = kGuard + (kAlign - start) % kAlign + (misaligned ? static_cast<size_t>(dtype_info(type)->block_bytes) : 0);
}

size_t GuardedTensor::bytes() const {
    return count() == 0 ? 0 : dtype_bytes(type_, static_cast<int64_t>((rows_ - 1) * stride_ + width_));
}

void GuardedTensor::poison(size_t begin, size_t end) {
    const size_t size = dtype_bytes(type_, 1);
    for (size_t i = begin; i < end; ++i) std::fill_n(data() + (i / width_ * stride_ + i % width_) * size, size, kPattern);
}

void GuardedTensor::lock_guards(bool locked) {
    if (!present()) return;
    std::byte* const end = memory_.data() + memory_.size();
    if (locked) {
        ASAN_POISON_MEMORY_REGION(memory_.data(), begin_);
        ASAN_POISON_MEMORY_REGION(data() + bytes(), static_cast<size_t>(end - data()) - bytes());
    } else {
        ASAN_UNPOISON_MEMORY_REGION(memory_.data(), static_cast<size_t>(end - memory_.data()));
    }
}

bool GuardedTensor::guards_intact() const {
    const std::byte* const end = data() + bytes();
    bool intact = untouched(memory_.data(), data()) && untouched(end, memory_.data() + memory_.size());
    if (stride_ == width_) return intact;
    for (size_t row = 0; row + 1 < rows_; ++row) {
        const std::byte* const begin = data() + dtype_bytes(type_, static_cast<int64_t>(row * stride_));
        const auto offset = [&](size_t columns) { return dtype_bytes(type_, static_cast<int64_t>(columns)); };
        intact = intact && untouched(begin + offset(width_), begin + offset(stride_));
    }
    return intact;
}

}  // namespace nib::check

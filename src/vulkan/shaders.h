// The shaders of shaders/, compiled into the binary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nib::vulkan {

/// A shader, by its number.
class Shader {
public:
    constexpr explicit Shader(size_t number) : number_(number) {}
    /// SPIR-V, for devices with subgroup arithmetic or without.
    std::span<const uint32_t> code(bool subgroup_arithmetic) const;
    unsigned tensors() const;    // bit i: it has operand i, or kScratch, at binding i + 1
    unsigned constants() const;  // bit i: it depends on specialization constant i

private:
    size_t number_;
};

// inline constexpr Shader kEmbedBackward{7};  and so on, for each shaders/*.comp
#include "shaders/names.inc"

}  // namespace nib::vulkan

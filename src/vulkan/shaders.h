// The shaders of shaders/, compiled into the binary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nib::vulkan {

/// A shader, by its number. What it is made of is unpacked when the first one is asked for.
class Shader {
public:
    constexpr explicit Shader(size_t number) : number_(number) {}
    /// SPIR-V, for devices that sum over subgroups or for all.
    std::span<const uint32_t> code(bool subgroup_arithmetic) const;
    unsigned tensors() const;  // bit i: it has a binding i + 1 for tensor i; inputs are 0 to 4, outputs 5 to 7

private:
    size_t number_;
};

// inline constexpr Shader kEmbedBackward{7};  and so on, for each shaders/*.comp
#include "shaders/names.inc"

}  // namespace nib::vulkan

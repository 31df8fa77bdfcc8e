// NumPy's .npy files.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace nib {

/// The header of a .npy file (format 1.0) for a float32 array in row-major order; the little-endian numbers follow it.
std::string npy_header(std::span<const int64_t> shape);

}  // namespace nib

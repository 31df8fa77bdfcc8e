#include "io/npy.h"

#include "core/align.h"

namespace nib {

// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html: magic, version, length of the text as u16, and a
// Python dictionary padded with spaces so that the numbers begin at a multiple of 64 bytes.
std::string npy_header(std::span<const int64_t> shape) {
    std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
    for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
    text += shape.size() == 1 ? ",), }" : "), }";
    constexpr size_t kPrefix = 10, kAlign = 64;
    const size_t total = align_up(kPrefix + text.size() + 1, kAlign);
    text.resize(total - kPrefix - 1, ' ');
    text += '\n';
    std::string header = "\x93NUMPY";
    header += {'\x01', '\x00', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
    return header + text;
}

}  // namespace nib

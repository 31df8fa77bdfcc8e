// A tensor of a checkpoint (safetensors, PyTorch): a typed, perhaps strided view of bytes in a mapped file, read as float a
// piece at a time, so that converting needs no memory of a tensor's size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nib {

/// Element types of checkpoints. Weights have one of the first four; the others occur in buffers, which are ignored.
enum class SourceType : uint8_t { F64, F32, F16, BF16, I64, I32, I16, I8, U8, Bool, Unknown };

const char* source_type_name(SourceType type);  // "f64", "bool", "unknown"
int64_t source_type_bytes(SourceType type);     // of one element; 0 when Unknown
inline bool is_floating_point(SourceType type) { return type <= SourceType::BF16; }

/// Exact conversions, which keep infinities, subnormals and the payloads of NaNs.
float half_to_float(uint16_t bits);
float bfloat16_to_float(uint16_t bits);

/// The number of elements of an untrusted shape. Error, beginning with `where`, when a dimension is negative, there are
/// more than 64 of them or the size in bytes could overflow.
int64_t checked_elements(const std::string& where, std::span<const int64_t> shape);

struct SourceTensor {
    std::string name;
    std::string file;  // where it is, for messages
    SourceType type = SourceType::Unknown;
    std::string type_name;                // as nib calls the type, or as the file does where it is Unknown
    std::vector<int64_t> shape, strides;  // outermost first; strides count elements and are not negative
    std::span<const std::byte> data;      // from the first element to the last that the view touches, perhaps unaligned
    std::string refusal;                  // empty, or why it cannot be read: "has type F8_E4M3, ..."

    int64_t elements() const;
    /// Whether the elements are contiguous. Then `data`, if it can be read, has exactly these elements.
    bool contiguous() const;
    /// Whether read() would succeed: it holds floating-point numbers in a form that nib knows.
    bool readable() const { return refusal.empty() && is_floating_point(type); }

    /// The elements `first`, `first` + 1, ... in row-major order as float: as many as `out` has, which must exist. F64 is
    /// rounded to the nearest. Error naming file, tensor and type when it is not readable().
    void read(int64_t first, std::span<float> out) const;

    /// The same matrix with rows and columns swapped (a view); the tensor must have two dimensions.
    SourceTensor transposed() const;
};

/// The strides, in elements, of a tensor of this shape in row-major order.
std::vector<int64_t> contiguous_strides(std::span<const int64_t> shape);

/// Error, beginning with the file's name, when two of the tensors have the same name.
void check_distinct_names(const std::vector<SourceTensor>& tensors);

}  // namespace nib

#include "io/source_tensor.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstring>
#include <limits>
#include <utility>

#include "core/error.h"

namespace nib {

float half_to_float(uint16_t bits) {
    const uint32_t sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7FFFu, shifted = magnitude << 13;
    const uint32_t normal = shifted + ((127 - 15) << 23), beyond = shifted | 0x7F800000u;  // infinity, NaN
    constexpr uint32_t least = (127 - 14) << 23;  // 2^-14, of which a subnormal is a fraction; the difference is exact
    const auto subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(least + shifted) - std::bit_cast<float>(least));
    return std::bit_cast<float>(sign | (magnitude < 0x0400 ? subnormal : magnitude < 0x7C00 ? normal : beyond));
}

float bfloat16_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

namespace {

static_assert(std::endian::native == std::endian::little, "checkpoints are little-endian and used in place");

constexpr size_t kMaxDimensions = 64;                                          // PyTorch has no more
constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max() / 2 / 8;  // of 8 bytes; no sum of two sizes overflows

template <class T>
T load(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

struct F64 {
    using Bits = double;
    static float to_float(double value) { return static_cast<float>(value); }
};
struct F32 {
    using Bits = float;
    static float to_float(float value) { return value; }
};
struct F16 {
    using Bits = uint16_t;
    static float to_float(uint16_t bits) { return half_to_float(bits); }
};
struct BF16 {
    using Bits = uint16_t;
    static float to_float(uint16_t bits) { return bfloat16_to_float(bits); }
};

constexpr int64_t kBlock = 16;  // elements converted at a time: a fixed count, so that compilers vectorize

// `count` elements, `stride` elements apart in the file.
template <class Type>
void convert_run(const std::byte* from, int64_t stride, float* out, int64_t count) {
    using Bits = typename Type::Bits;
    constexpr int64_t size = sizeof(Bits);
    int64_t i = 0;
    if (stride == 1) {
        for (; i + kBlock <= count; i += kBlock) {
            Bits block[kBlock];
            std::memcpy(block, from + i * size, sizeof block);
            for (int64_t j = 0; j < kBlock; ++j) out[i + j] = Type::to_float(block[j]);
        }
    }
    for (; i < count; ++i) out[i] = Type::to_float(load<Bits>(from + i * stride * size));
}

// The first `rows` rows of a transposed matrix, whose columns are contiguous in the file: a few rows at a time, so that
// every cache line is used whole.
template <class Type>
void convert_transposed(const std::byte* from, int64_t stride, float* out, int64_t rows, int64_t columns) {
    constexpr int64_t size = sizeof(typename Type::Bits);
    float block[kBlock];
    for (int64_t row = 0; row < rows; row += kBlock) {
        const int64_t count = std::min(kBlock, rows - row);
        for (int64_t column = 0; column < columns; ++column) {
            convert_run<Type>(from + (row + column * stride) * size, 1, block, count);
            for (int64_t i = 0; i < count; ++i) out[(row + i) * columns + column] = block[i];
        }
    }
}

// The elements of `tensor` from `first` on, in runs along the innermost dimension.
template <class Type>
void convert(const SourceTensor& tensor, int64_t first, std::span<float> out) {
    constexpr int64_t size = sizeof(typename Type::Bits);
    const std::byte* data = tensor.data.data();
    float* to = out.data();
    auto left = static_cast<int64_t>(out.size());
    if (left == 0) return;
    if (tensor.contiguous()) return convert_run<Type>(data + first * size, 1, to, left);
    const auto &shape = tensor.shape, &strides = tensor.strides;
    const size_t dims = shape.size(), inner = dims - 1;
    std::vector<int64_t> at(dims);  // indices of the next element
    for (size_t d = dims; d-- > 0; first /= shape[d]) at[d] = first % shape[d];
    while (left > 0) {
        int64_t offset = 0;
        for (size_t d = 0; d < dims; ++d) offset += at[d] * strides[d];
        int64_t rows = 0;
        if (dims > 1 && at[inner] == 0 && strides[inner - 1] == 1) {
            rows = std::min(left / shape[inner], shape[inner - 1] - at[inner - 1]);
        }
        int64_t count = rows * shape[inner];
        if (rows > 1) {
            convert_transposed<Type>(data + offset * size, strides[inner], to, rows, shape[inner]);
            at[inner - 1] += rows - 1;
            at[inner] = shape[inner];
        } else {
            count = std::min(left, shape[inner] - at[inner]);
            convert_run<Type>(data + offset * size, strides[inner], to, count);
            at[inner] += count;
        }
        to += count, left -= count;
        for (size_t d = inner; d > 0 && at[d] == shape[d]; --d) at[d] = 0, ++at[d - 1];
    }
}

}  // namespace

const char* source_type_name(SourceType type) {
    static const char* const names[] = {"f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool", "unknown"};
    return names[static_cast<size_t>(type)];
}

int64_t source_type_bytes(SourceType type) {
    static const int64_t bytes[] = {8, 4, 2, 2, 8, 4, 2, 1, 1, 1, 0};
    return bytes[static_cast<size_t>(type)];
}

int64_t checked_elements(const std::string& where, std::span<const int64_t> shape) {
    if (shape.size() > kMaxDimensions) {
        fail("%s: has %zu dimensions, more than %zu", where.c_str(), shape.size(), kMaxDimensions);
    }
    bool empty = false;
    for (const int64_t dim : shape) {
        if (dim < 0) fail("%s: has a dimension of %" PRId64 "; the file is damaged", where.c_str(), dim);
        empty = empty || dim == 0;
    }
    if (empty) return 0;
    int64_t elements = 1;
    for (const int64_t dim : shape) {
        if (dim > kMaxElements / elements) fail("%s: has an impossible shape; the file is damaged", where.c_str());
        elements *= dim;
    }
    return elements;
}

std::vector<int64_t> contiguous_strides(std::span<const int64_t> shape) {
    std::vector<int64_t> strides(shape.size());
    int64_t stride = 1;
    for (size_t d = shape.size(); d-- > 0;) {
        strides[d] = stride;
        stride *= std::clamp<int64_t>(shape[d], 1, kMaxElements / stride);  // a tensor without elements may have any shape
    }
    return strides;
}

void check_distinct_names(const std::vector<SourceTensor>& tensors) {
    std::vector<const SourceTensor*> order;
    for (const SourceTensor& tensor : tensors) order.push_back(&tensor);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
    const auto same =
        std::adjacent_find(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->name == b->name; });
    if (same == order.end()) return;
    const SourceTensor &a = *same[0], &b = *same[1];
    const std::string also = a.file == b.file ? "" : " (also in " + b.file + ")";
    fail("%s: tensor `%s` is there twice%s", a.file.c_str(), printable(a.name).c_str(), also.c_str());
}

int64_t SourceTensor::elements() const {
    if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;  // whatever the others are
    int64_t count = 1;
    for (const int64_t dim : shape) count *= dim;
    return count;
}

bool SourceTensor::contiguous() const {
    if (elements() == 0) return true;
    int64_t expected = 1;
    for (size_t d = shape.size(); d-- > 0;) {
        if (shape[d] != 1 && strides[d] != expected) return false;
        expected *= shape[d];
    }
    return true;
}

void SourceTensor::read(int64_t first, std::span<float> out) const {
    if (!refusal.empty()) fail("%s: tensor `%s`: %s", file.c_str(), printable(name).c_str(), refusal.c_str());
    CHECK(first >= 0 && first <= elements() && static_cast<uint64_t>(elements() - first) >= out.size());
    switch (type) {
        case SourceType::F64: return convert<F64>(*this, first, out);
        case SourceType::F32: return convert<F32>(*this, first, out);
        case SourceType::F16: return convert<F16>(*this, first, out);
        case SourceType::BF16: return convert<BF16>(*this, first, out);
        default:
            fail("%s: tensor `%s`: has type %s, but weights are floating-point numbers", file.c_str(),
                 printable(name).c_str(), type_name.c_str());
    }
}

SourceTensor SourceTensor::transposed() const {
    CHECK(shape.size() == 2);
    SourceTensor view = *this;
    std::swap(view.shape[0], view.shape[1]);
    std::swap(view.strides[0], view.strides[1]);
    return view;
}

}  // namespace nib

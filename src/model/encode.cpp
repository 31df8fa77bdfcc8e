#include "model/encode.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "quant/quantize.h"

namespace nib {
namespace {

constexpr int64_t kPiece = int64_t{1} << 18;  // elements that a thread packs at a time, about
constexpr int64_t kRows = 16;                 // a transposed matrix is read in groups of as many rows

// Types that weights can have, with llama.cpp's number for a file of them (its llama_ftype).
struct WeightType {
    DType type;
    uint32_t file_type;
};
constexpr WeightType kTypes[] = {
    {DType::F32,  0 },
    {DType::F16,  1 },
    {DType::BF16, 32},
    {DType::Q8_0, 7 },
    {DType::Q6_K, 18},
    {DType::Q5_K, 16},
    {DType::Q5_1, 9 },
    {DType::Q5_0, 8 },
    {DType::Q4_K, 14},
    {DType::Q4_1, 3 },
    {DType::Q4_0, 2 },
};

// "f32, f16, ...": the types whose blocks fill rows of `row` numbers; all types for 0.
std::string names_for(int64_t row) {
    std::string names;
    for (const WeightType& t : kTypes)
        if (row % dtype_info(t.type)->block_size == 0)
            names += (names.empty() ? "" : ", ") + std::string(dtype_info(t.type)->name);
    return names;
}

// How many of the values have this magnitude or more, given as bits of a float; NaN counts.
int64_t count_from(std::span<const float> values, uint32_t magnitude) {
    int64_t count = 0;
    for (const float value : values) count += (std::bit_cast<uint32_t>(value) & 0x7FFFFFFF) >= magnitude;
    return count;
}

constexpr uint32_t kInfinity = 0x7F800000, kBeyondHalf = 0x477FF000;  // 65520 rounds to a half's infinity

}  // namespace

std::optional<DType> find_weight_type(const std::string& name) {
    for (const WeightType& t : kTypes)
        if (name == dtype_info(t.type)->name) return t.type;
    return std::nullopt;
}

std::string weight_type_names() { return names_for(0); }

DType stored_type(DType type, const std::string& name, std::span<const int64_t> shape) {
    if (shape.size() != 2 || name == "position_embd.weight" || name == "token_types.weight") return DType::F32;
    const int64_t row = shape.back(), block = dtype_info(type)->block_size;
    if (row % block != 0)
        fail("tensor `%s` cannot be %s: its rows of %lld numbers are no whole number of blocks of %lld; choose one of: %s",
             printable(name).c_str(), dtype_info(type)->name, static_cast<long long>(row), static_cast<long long>(block),
             names_for(row).c_str());
    return type;
}

bool is_plain(DType type) { return type == DType::F32 || type == DType::F16 || type == DType::BF16; }

SourceType source_type(DType type) {
    return type == DType::F16 ? SourceType::F16 : type == DType::BF16 ? SourceType::BF16 : SourceType::F32;
}

SourceTensor open_tensor(const GgufTensor& from, std::vector<float>& values) {
    SourceTensor tensor;
    tensor.name = from.name;
    tensor.type = source_type(from.type);
    tensor.shape = from.shape;
    tensor.strides = contiguous_strides(from.shape);
    tensor.data = from.data;
    if (!is_plain(from.type)) {
        values.resize(static_cast<size_t>(tensor.elements()));
        quant::unpack(from.type, from.data.data(), tensor.elements(), values.data());
        tensor.data = std::as_bytes(std::span(values));
    }
    return tensor;
}

void write_file_type(GgufWriter& file, DType type) {
    const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return t.type == type; });
    if (found == std::end(kTypes)) fail("weights cannot be stored as type %u", static_cast<unsigned>(type));
    file.set("general.file_type", found->file_type);
    file.set("general.quantization_version", uint32_t{2});
}

Encoder::Encoder(int threads, int64_t elements, std::function<void(double)> progress)
    : pool_(threads),
      parts_(static_cast<size_t>(pool_.size())),
      progress_(std::move(progress)),
      elements_(std::max<int64_t>(elements, 1)) {}

void Encoder::encode(const std::string& name, DType type, std::span<const int64_t> shape, const ReadValues& read,
                     const std::function<void(std::span<const std::byte>)>& sink) {
    int64_t total = 1;
    for (const int64_t d : shape) total *= d;
    const int64_t row = shape.back(), fit = std::max<int64_t>(kPiece / row, 1);
    const int64_t piece = row * (fit < kRows ? fit : fit / kRows * kRows);
    for (int64_t at = 0; at < total;) {
        const auto range = [&](size_t thread) {
            const int64_t begin = std::min(at + static_cast<int64_t>(thread) * piece, total);
            return std::pair(begin, std::min(begin + piece, total));
        };
        for (size_t thread = 0; thread < parts_.size(); ++thread) {  // here, where running out of memory may throw
            const auto [begin, end] = range(thread);
            parts_[thread].values.resize(static_cast<size_t>(end - begin));
            parts_[thread].packed.resize(dtype_bytes(type, end - begin));
        }
        pool_.run([&](int thread) {
            Part& part = parts_[static_cast<size_t>(thread)];
            const auto [begin, end] = range(static_cast<size_t>(thread));
            read(begin, part.values);
            part.not_finite = count_from(part.values, kInfinity);
            part.too_large = type == DType::F16 ? count_from(part.values, kBeyondHalf) - part.not_finite : 0;
            quant::pack(type, part.values.data(), end - begin, part.packed.data());
        });
        for (Part& part : parts_) {
            sink(part.packed);
            add(dtype_info(type)->block_size > 1 ? replaced_ : not_finite_, part.not_finite, name);
            add(too_large_, part.too_large, name);
        }
        const int64_t next = range(parts_.size() - 1).second;
        done_ += next - at, at = next;
        progress_(static_cast<double>(done_) / static_cast<double>(elements_));
    }
}

void Encoder::add(Count& count, int64_t values, const std::string& tensor) {
    if (values > 0 && count.values == 0) count.first = tensor;
    count.values += values;
}

std::vector<std::string> Encoder::findings() const {
    std::vector<std::string> lines;
    const auto line = [&](const Count& count, const char* what) {
        if (count.values > 0)
            lines.push_back(strprintf("%lld weight%s %s, first in `%s`", static_cast<long long>(count.values),
                                      count.values == 1 ? " is" : "s are", what, printable(count.first).c_str()));
    };
    line(not_finite_, "NaN or infinite");
    line(replaced_, "NaN or infinite and became 0 or the largest number");
    line(too_large_, "too large for f16 and became infinite");
    return lines;
}

}  // namespace nib

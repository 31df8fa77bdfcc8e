// Shared by reading and writing GGUF files, and typed access to metadata. Parsing is in gguf_reader.cpp.
#include "io/gguf.h"

#include <algorithm>
#include <cctype>
#include <cinttypes>
#include <cmath>
#include <filesystem>
#include <utility>

#include "core/error.h"
#include "io/gguf_format.h"

namespace nib {
namespace {

// Index of the element whose name is `name`, given all indices in the order of names; elements.size() if there is none.
template <class Element>
size_t index_of(const std::vector<Element>& elements, const std::vector<size_t>& by_name, std::string Element::*member,
                std::string_view name) {
    const auto before = [&](size_t index, std::string_view wanted) { return elements[index].*member < wanted; };
    const auto found = std::lower_bound(by_name.begin(), by_name.end(), name, before);
    return found != by_name.end() && elements[*found].*member == name ? *found : elements.size();
}

// The integer in `value` as To, if it is one and fits in [low, high]. Sets `integer` when it is one.
template <class To>
std::optional<To> integer_between(const GgufValue& value, To low, To high, bool& integer) {
    return std::visit(
        [&]<class T>(const T& number) -> std::optional<To> {
            if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
                integer = true;
                if (std::cmp_greater_equal(number, low) && std::cmp_less_equal(number, high))
                    return static_cast<To>(number);
            }
            return std::nullopt;
        },
        value);
}

std::string integer_text(const GgufValue& value) {
    return std::visit(
        []<class T>(const T& number) -> std::string {
            if constexpr (std::is_integral_v<T>) return std::to_string(number);
            return {};
        },
        value);
}

}  // namespace

GgufValue::GgufValue(const GgufValue&) = default;
GgufValue::GgufValue(GgufValue&&) noexcept = default;
GgufValue& GgufValue::operator=(const GgufValue&) = default;
GgufValue& GgufValue::operator=(GgufValue&&) noexcept = default;
GgufValue::~GgufValue() = default;
bool GgufValue::operator==(const GgufValue& other) const {
    return static_cast<const GgufVariant&>(*this) == static_cast<const GgufVariant&>(other);
}

std::string gguf_type_name(const GgufValue& value) {
    static const char* const names[gguf::kScalarTypes] = {"u8",  "i8",   "u16",    "i16", "u32", "i32",
                                                          "f32", "bool", "string", "u64", "i64", "f64"};
    const size_t index = value.index();
    return index < gguf::kScalarTypes ? names[index] : std::string("array of ") + names[index - gguf::kScalarTypes];
}

uint64_t checked_tensor_bytes(const std::string& where, DType type, std::span<const int64_t> shape) {
    const DTypeInfo* info = dtype_info(type);
    if (info == nullptr)
        fail("%s: has element type number %" PRIu32 ", which nib does not know", where.c_str(), uint32_t(type));
    if (shape.empty() || shape.size() > gguf::kMaxDimensions) {
        fail("%s: has %zu dimensions, expected 1 to %zu", where.c_str(), shape.size(), gguf::kMaxDimensions);
    }
    int64_t elements = 1;
    for (const int64_t dimension : shape) {
        if (dimension <= 0)
            fail("%s: has a dimension of %" PRId64 ", expected a positive number", where.c_str(), dimension);
        if (__builtin_mul_overflow(elements, dimension, &elements))
            fail("%s: its shape is impossibly large", where.c_str());
    }
    if (shape.back() % info->block_size != 0) {
        fail("%s: its rows of %" PRId64 " elements are not whole blocks of %" PRId64 ", which %s needs", where.c_str(),
             shape.back(), info->block_size, info->name);
    }
    int64_t bytes = 0;
    if (__builtin_mul_overflow(elements / info->block_size, info->block_bytes, &bytes)) {
        fail("%s: its shape is impossibly large", where.c_str());
    }
    return static_cast<uint64_t>(bytes);
}

const GgufTensor* GgufFile::find(std::string_view name) const {
    const size_t index = index_of(tensors_, tensors_by_name_, &GgufTensor::name, name);
    return index < tensors_.size() ? &tensors_[index] : nullptr;
}

void GgufFile::wrong(const std::string& problem) const { fail("%s: %s", printable(name_).c_str(), problem.c_str()); }

const GgufTensor& GgufFile::tensor(std::string_view name) const {
    const GgufTensor* found = find(name);
    if (found == nullptr) wrong("tensor `" + printable(name) + "` is missing");
    return *found;
}

const GgufValue* GgufFile::value(std::string_view key) const {
    const size_t index = index_of(metadata_, keys_by_name_, &GgufEntry::key, key);
    return index < metadata_.size() ? &metadata_[index].value : nullptr;
}

const GgufValue& GgufFile::require(std::string_view key) const {
    const GgufValue* found = value(key);
    if (found == nullptr) wrong("key `" + printable(key) + "` is missing");
    return *found;
}

void GgufFile::wrong_type(std::string_view key, const std::string& expected) const {
    wrong("key `" + printable(key) + "` has type " + gguf_type_name(require(key)) + ", expected " + expected);
}

int64_t GgufFile::signed_integer(std::string_view key, int64_t low, int64_t high) const {
    const GgufValue& value = require(key);
    bool integer = false;
    if (const auto number = integer_between<int64_t>(value, low, high, integer)) return *number;
    if (!integer) wrong_type(key, "an integer");
    fail("%s: key `%s` is %s, expected %" PRId64 " to %" PRId64, printable(name_).c_str(), printable(key).c_str(),
         integer_text(value).c_str(), low, high);
}

uint64_t GgufFile::unsigned_integer(std::string_view key, uint64_t high) const {
    const GgufValue& value = require(key);
    bool integer = false;
    if (const auto number = integer_between<uint64_t>(value, 0, high, integer)) return *number;
    if (!integer) wrong_type(key, "an integer");
    fail("%s: key `%s` is %s, expected 0 to %" PRIu64, printable(name_).c_str(), printable(key).c_str(),
         integer_text(value).c_str(), high);
}

double GgufFile::real(std::string_view key, double limit) const {
    const GgufValue& value = require(key);
    if (const float* number = std::get_if<float>(&value)) return *number;
    const double* number = std::get_if<double>(&value);
    if (number == nullptr) wrong_type(key, "f32 or f64");
    if (std::isfinite(*number) && std::abs(*number) > limit) {
        fail("%s: key `%s` is %g, which is too large", printable(name_).c_str(), printable(key).c_str(), *number);
    }
    return *number;
}

std::string gguf_name(const std::string& name) {
    const std::filesystem::path path(name);
    if (!path.has_filename() || path.filename() == ".gguf")
        fail_usage("the output `%s` has no file name", printable(name).c_str());
    const std::string ending = path.extension().string();
    if (ending == ".gguf") return name;
    const auto letter = [](unsigned char c) { return std::isalpha(c) != 0; };  // others are part of the name: v1.5
    if (ending.size() > 1 && std::all_of(ending.begin() + 1, ending.end(), letter))
        fail_usage("%s: nib writes GGUF files; give a name that ends in .gguf, or one without an ending",
                   printable(name).c_str());
    return name + ".gguf";
}

}  // namespace nib

// GGUF, the one file format of nib's weights and training states: reading in place (versions 2 and 3) and writing (version
// 3).
//
// A file is a list of typed metadata (key, value), a list of tensor descriptions and the tensors' aligned data. The format
// is specified at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. It stores a tensor's dimensions innermost
// first; here, as everywhere in nib, shapes are outermost first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "core/dtype.h"
#include "io/atomic_file.h"
#include "io/mapped_file.h"

namespace nib {

using GgufVariant =
    std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool, std::string, uint64_t, int64_t, double,
                 std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
                 std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>, std::vector<bool>,
                 std::vector<std::string>, std::vector<uint64_t>, std::vector<int64_t>, std::vector<double>>;

/// A metadata value: every type of the format except arrays of arrays. Scalars are in the order of their type numbers
/// (0..12 without 9, which is "array"), arrays follow in the same order; reader and writer rely on that. Copying and the
/// like are compiled once, in gguf.cpp: for so many types they would add seconds to every file that includes this.
struct GgufValue : GgufVariant {
    using GgufVariant::GgufVariant;
    GgufValue(const GgufValue&);
    GgufValue(GgufValue&&) noexcept;
    GgufValue& operator=(const GgufValue&);
    GgufValue& operator=(GgufValue&&) noexcept;
    ~GgufValue();
    bool operator==(const GgufValue& other) const;
};

/// The type of a value for people: "u32", "string", "array of f32".
std::string gguf_type_name(const GgufValue& value);

struct GgufEntry {
    std::string key;
    GgufValue value;
};

struct GgufTensor {
    std::string name;
    DType type;
    std::vector<int64_t> shape;       // outermost first, 1 to 4 dimensions, all positive
    std::span<const std::byte> data;  // in the file's memory, aligned as the file says (by default to 32 bytes)
};

/// Bytes of a tensor of untrusted shape (outermost first). Error, beginning with `where`, when the type is unknown to nib,
/// there are not 1 to 4 dimensions, one is not positive, the innermost does not fill whole blocks, or the size overflows.
uint64_t checked_tensor_bytes(const std::string& where, DType type, std::span<const int64_t> shape);

/// A GGUF file, read and checked completely when it is opened, except for the numbers in the tensors. Every Error names the
/// file and, where there is one, the key or tensor and the byte offset.
class GgufFile {
public:
    /// Maps and reads the file at `path`.
    static GgufFile open(const std::string& path);
    /// Reads a file in memory, which must outlive the result; `name` stands for the path in messages.
    static GgufFile parse(std::span<const std::byte> bytes, const std::string& name);

    GgufFile(GgufFile&&) = default;
    GgufFile& operator=(GgufFile&&) = default;

    const std::string& name() const { return name_; }
    std::span<const std::byte> bytes() const { return bytes_; }           // the whole file
    const std::vector<GgufEntry>& metadata() const { return metadata_; }  // in file order
    const std::vector<GgufTensor>& tensors() const { return tensors_; }   // in file order

    /// The tensor called `name`; find: nullptr when there is none, tensor: Error.
    const GgufTensor* find(std::string_view name) const;
    const GgufTensor& tensor(std::string_view name) const;

    /// Error about what is in the file: "NAME: PROBLEM".
    [[noreturn]] void wrong(const std::string& problem) const;

    /// Releases the memory of a tensor that has been used; it is read from the file again if needed.
    void release(const GgufTensor& tensor) const {
        if (mapping_) mapping_->release(tensor.data);
    }

    /// The value of `key`, nullptr when the file has no such key.
    const GgufValue* value(std::string_view key) const;

    /// The scalar at `key`; Error when it is missing or does not fit. T is an integer type (any integer type in the file
    /// will do if the number is in T's range), float or double (either will do), bool or std::string (exactly).
    template <class T>
    T get(std::string_view key) const;
    /// The same, or `fallback` when the key is missing: get_or<float>("bert.attention.layer_norm_epsilon", 1e-12f).
    template <class T>
    T get_or(std::string_view key, std::type_identity_t<T> fallback) const {
        return value(key) != nullptr ? get<T>(key) : fallback;
    }
    /// The array at `key`; Error when it is missing or its elements are not exactly T.
    template <class T>
    const std::vector<T>& array(std::string_view key) const;

private:
    GgufFile() = default;
    const GgufValue& require(std::string_view key) const;
    int64_t signed_integer(std::string_view key, int64_t low, int64_t high) const;
    uint64_t unsigned_integer(std::string_view key, uint64_t high) const;
    double real(std::string_view key, double limit) const;
    [[noreturn]] void wrong_type(std::string_view key, const std::string& expected) const;

    std::string name_;
    std::optional<MappedFile> mapping_;  // empty when the bytes are the caller's
    std::span<const std::byte> bytes_;
    std::vector<GgufEntry> metadata_;
    std::vector<GgufTensor> tensors_;
    std::vector<size_t> keys_by_name_, tensors_by_name_;  // indices in the order of the names
};

/// Collects metadata and tensors and writes them as one GGUF v3 file: little-endian, tensors 32-byte aligned and in the
/// order in which they were added, gaps zero. The same calls give the same bytes. Errors name the file or the key or
/// tensor.
class GgufWriter {
public:
    using Sink = std::function<void(std::span<const std::byte>)>;
    /// Produces a tensor's data: passes it to the sink in order, in pieces of any size.
    using Producer = std::function<void(const Sink&)>;

    /// Sets a metadata value. Keys are written in the order in which they were first set. "general.alignment" is skipped (a
    /// copy of another file's metadata may hold it): the alignment is always the default of 32.
    void set(const std::string& key, GgufValue value);

    /// Adds a tensor whose data is in memory. It is not copied: it must stay until write() is done.
    void add(const std::string& name, DType type, std::vector<int64_t> shape, std::span<const std::byte> data);
    /// Adds a tensor whose data is produced while the file is written; write() throws Error if its size does not match the
    /// shape.
    void add(const std::string& name, DType type, std::vector<int64_t> shape, Producer producer);

    /// Writes everything. The caller finishes and publishes `file`.
    void write(AtomicFile& file) const;

private:
    struct Pending {
        std::string name;
        DType type;
        std::vector<int64_t> shape;
        uint64_t bytes;
        Producer producer;
    };
    std::string header() const;

    std::vector<GgufEntry> metadata_;
    std::unordered_map<std::string, size_t> keys_;  // where each is in metadata_
    std::vector<Pending> tensors_;
    std::unordered_set<std::string> names_;
};

template <class T>
T GgufFile::get(std::string_view key) const {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) {
        if (const T* found = std::get_if<T>(&require(key))) return *found;
        wrong_type(key, gguf_type_name(T()));
    } else if constexpr (std::is_floating_point_v<T>) {
        return static_cast<T>(real(key, std::numeric_limits<T>::max()));
    } else if constexpr (std::is_signed_v<T>) {
        return static_cast<T>(signed_integer(key, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    } else {
        static_assert(std::is_unsigned_v<T>, "use array() for arrays");
        return static_cast<T>(unsigned_integer(key, std::numeric_limits<T>::max()));
    }
}

template <class T>
const std::vector<T>& GgufFile::array(std::string_view key) const {
    if (const auto* found = std::get_if<std::vector<T>>(&require(key))) return *found;
    wrong_type(key, gguf_type_name(std::vector<T>()));
}

/// `name`, with the ending .gguf added if it is missing. UsageError when there is no file name, or another format's ending.
std::string gguf_name(const std::string& name);

}  // namespace nib

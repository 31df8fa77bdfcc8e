#include <cinttypes>
#include <utility>

#include "core/align.h"
#include "core/error.h"
#include "io/gguf.h"
#include "io/gguf_format.h"

namespace nib {
namespace {

void put_bytes(std::string& out, const void* data, size_t size) { out.append(static_cast<const char*>(data), size); }

template <class T>
requires std::is_arithmetic_v<T>
void put(std::string& out, T number) { put_bytes(out, &number, sizeof number); }

void put(std::string& out, const std::string& text) {
    put<uint64_t>(out, text.size());
    out += text;
}

void put(std::string& out, bool flag) { out += flag ? '\1' : '\0'; }

template <class T>
void put(std::string& out, const std::vector<T>& values) {
    put<uint64_t>(out, values.size());
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
        put_bytes(out, values.data(), values.size() * sizeof(T));
    } else {
        for (const auto& value : values) put(out, static_cast<const T&>(value));
    }
}

void put(std::string& out, const GgufValue& value) {
    const bool array = value.index() >= gguf::kScalarTypes;
    const size_t scalar = array ? value.index() - gguf::kScalarTypes : value.index();
    if (array) put(out, gguf::kArrayType);
    put(out, static_cast<uint32_t>(scalar < gguf::kArrayType ? scalar : scalar + 1));
    std::visit([&](const auto& content) { put(out, content); }, value);
}

void check_name(const char* kind, const std::string& name) {
    if (name.empty()) fail("cannot write a %s whose name is empty", kind);
    if (name.size() > gguf::kMaxNameBytes) {
        fail("cannot write the %s `%s`: its name has %zu bytes, at most %zu are possible", kind, printable(name).c_str(),
             name.size(), gguf::kMaxNameBytes);
    }
}

void write_padding(AtomicFile& file, uint64_t bytes) {
    static constexpr std::byte zeros[gguf::kDefaultAlignment] = {};
    const uint64_t padding = align_up<uint64_t>(bytes, gguf::kDefaultAlignment) - bytes;
    file.write(std::span(zeros).first(static_cast<size_t>(padding)));
}

}  // namespace

void GgufWriter::set(const std::string& key, GgufValue value) {
    check_name("key", key);
    if (key == gguf::kAlignmentKey) return;
    const auto [found, added] = keys_.emplace(key, metadata_.size());
    if (added)
        metadata_.push_back({key, std::move(value)});
    else
        metadata_[found->second].value = std::move(value);
}

void GgufWriter::add(const std::string& name, DType type, std::vector<int64_t> shape, std::span<const std::byte> data) {
    add(name, type, std::move(shape), [data](const Sink& sink) { sink(data); });
}

void GgufWriter::add(const std::string& name, DType type, std::vector<int64_t> shape, Producer producer) {
    check_name("tensor", name);
    const std::string where = "tensor `" + printable(name) + "`";
    const uint64_t bytes = checked_tensor_bytes(where, type, shape);
    if (!names_.insert(name).second) fail("%s: cannot be written twice to one file", where.c_str());
    tensors_.push_back({name, type, std::move(shape), bytes, std::move(producer)});
}

std::string GgufWriter::header() const {
    std::string out = "GGUF";
    put(out, gguf::kVersion);
    put<uint64_t>(out, tensors_.size());
    put<uint64_t>(out, metadata_.size());
    for (const GgufEntry& entry : metadata_) {
        put(out, entry.key);
        put(out, entry.value);
    }
    uint64_t offset = 0;
    for (const Pending& tensor : tensors_) {
        put(out, tensor.name);
        put(out, static_cast<uint32_t>(tensor.shape.size()));
        for (auto dimension = tensor.shape.rbegin(); dimension != tensor.shape.rend(); ++dimension) put(out, *dimension);
        put(out, static_cast<uint32_t>(tensor.type));
        put(out, offset);
        offset += align_up<uint64_t>(tensor.bytes, gguf::kDefaultAlignment);
    }
    return out;
}

void GgufWriter::write(AtomicFile& file) const {
    const std::string head = header();
    file.write(std::as_bytes(std::span(head)));
    write_padding(file, head.size());
    for (const Pending& tensor : tensors_) {
        uint64_t written = 0;
        tensor.producer([&](std::span<const std::byte> piece) {
            written += piece.size();
            if (written <= tensor.bytes) file.write(piece);
        });
        if (written != tensor.bytes) {
            fail("%s: tensor `%s` has %" PRIu64 " bytes of data, but its shape needs %" PRIu64,
                 printable(file.path()).c_str(), printable(tensor.name).c_str(), written, tensor.bytes);
        }
        write_padding(file, tensor.bytes);
    }
}

}  // namespace nib

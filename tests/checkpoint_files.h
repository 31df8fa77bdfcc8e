// Checkpoints put together byte by byte, independently of the readers, and what is read of them: for tests and fuzzers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "io/source_tensor.h"

namespace nib::test {

template <class T>
std::string raw(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

// A safetensors file: the header's length, the header and `data` bytes.
inline std::string safetensors(const std::string& header, size_t data) {
    return raw<uint64_t>(header.size()) + header + std::string(data, '\x11');
}

struct ZipPart {
    std::string name, data;
    uint16_t method = 0, flags = 0;
};

// A zip archive and where its parts are, for damaging them.
struct Zip {
    std::string bytes;
    std::vector<size_t> local, central;  // headers of the entries
    size_t end = 0;                      // record of the end

    explicit Zip(const std::vector<ZipPart>& parts) {
        for (const auto& [name, data, method, flags] : parts) {
            local.push_back(bytes.size());
            bytes += "PK\3\4" + raw<uint16_t>(0) + header(name, data, method, flags) + name + data;
        }
        for (size_t i = 0; i < parts.size(); ++i) {
            const auto& [name, data, method, flags] = parts[i];
            central.push_back(bytes.size());
            bytes += "PK\1\2" + raw<uint32_t>(0) + header(name, data, method, flags) + std::string(10, '\0') +
                     raw(static_cast<uint32_t>(local[i])) + name;
        }
        end = bytes.size();
        const auto count = static_cast<uint16_t>(parts.size());
        const auto start = static_cast<uint32_t>(central.empty() ? end : central[0]);
        bytes += "PK\5\6" + raw<uint32_t>(0) + raw(count) + raw(count) + raw(static_cast<uint32_t>(end) - start) +
                 raw(start) + raw<uint16_t>(0);
    }

    template <class T>
    Zip& set(size_t at, T value) {
        bytes.replace(at, sizeof value, raw(value));
        return *this;
    }

private:
    // What local and central headers share, from the flags to the length of the extra field.
    static std::string header(const std::string& name, const std::string& data, uint16_t method, uint16_t flags) {
        const auto size = static_cast<uint32_t>(data.size());
        return raw(flags) + raw(method) + raw<uint32_t>(0) + raw<uint32_t>(0) + raw(size) + raw(size) +
               raw(static_cast<uint16_t>(name.size())) + raw<uint16_t>(0);
    }
};

// A PyTorch checkpoint with this pickle and these storages: data/0, data/1, ...
inline Zip torch_zip(const std::string& pickle, const std::vector<std::string>& storages,
                     const std::string& order = "little") {
    std::vector<ZipPart> parts{
        {"x/data.pkl",  pickle},
        {"x/byteorder", order }
    };
    for (size_t i = 0; i < storages.size(); ++i) parts.push_back({"x/data/" + std::to_string(i), storages[i]});
    parts.push_back({"x/version", "3\n"});
    return Zip(parts);
}

// Pieces of pickles; they are joined with +.
inline std::string p_text(const std::string& text) { return "X" + raw(static_cast<uint32_t>(text.size())) + text; }
inline std::string p_int(int64_t value) { return std::string("\x8a\x08") + raw(value); }
inline std::string p_global(const std::string& module, const std::string& name) {
    return "c" + module + "\n" + name + "\n";
}
inline std::string p_ints(const std::vector<int64_t>& values) {
    std::string tuple = "(";
    for (const int64_t value : values) tuple += p_int(value);
    return tuple + "t";
}
inline std::string p_storage(const std::string& type, const std::string& key, int64_t count) {
    return "(" + p_text("storage") + p_global("torch", type) + p_text(key) + p_text("cpu") + p_int(count) + "tQ";
}
inline std::string p_tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                            const std::vector<int64_t>& strides) {
    return p_global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + p_int(offset) + p_ints(shape) +
           p_ints(strides) + "\x89" + p_global("collections", "OrderedDict") + ")RtR";
}
// A whole pickle: a dict of keys and values.
inline std::string p_dict(const std::vector<std::pair<std::string, std::string>>& items) {
    std::string pickle = "\x80\x02}(";
    for (const auto& [key, value] : items) pickle += p_text(key) + value;
    return pickle + "u.";
}

// The same before PyTorch 1.6: a storage in a pickle, and a whole file with this object, these keys and what follows them.
inline std::string p_old_storage(const std::string& type, const std::string& key, int64_t count,
                                 const std::string& view = "N") {
    return "(" + p_text("storage") + p_global("torch", type) + p_text(key) + p_text("cpu") + p_int(count) + view + "tQ";
}
inline std::string torch_legacy(const std::string& object, const std::vector<std::string>& keys, const std::string& rest,
                                const std::string& little_endian = "\x88") {
    std::string list = "\x80\x02](";
    for (const std::string& key : keys) list += p_text(key);
    return "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03." +
           p_dict({
               {"protocol_version", "M\xe9\x03"  },
               {"little_endian",    little_endian}
    }) +
           object + list + "e." + rest;
}

// All values of a tensor.
inline std::vector<float> values(const SourceTensor& tensor) {
    std::vector<float> all(static_cast<size_t>(tensor.elements()));
    tensor.read(0, all);
    return all;
}

// (i - 3) / 4
inline std::vector<float> ramp(size_t count) {
    std::vector<float> all;
    for (size_t i = 0; i < count; ++i) all.push_back((static_cast<float>(i) - 3) / 4);
    return all;
}

inline volatile float sink;  // keeps the reads of values that nobody uses

inline void read_some(const SourceTensor& tensor) {
    std::vector<float> piece(static_cast<size_t>(std::min<int64_t>(tensor.elements(), 1000)));
    tensor.read(0, piece);
    for (const float value : piece) sink = value;
    tensor.read(tensor.elements() - static_cast<int64_t>(piece.size()), piece);
    for (const float value : piece) sink = value;
}

}  // namespace nib::test

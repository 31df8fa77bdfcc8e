// Parsing of GGUF files. Every byte may be hostile: each read is checked against the end of the file, and nothing is
// allocated for a count before the file has proved long enough for it.
#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/align.h"
#include "core/error.h"
#include "io/gguf.h"
#include "io/gguf_format.h"

namespace nib {
namespace {

constexpr size_t kMinEntryBytes = 8 + 1 + 4 + 1;           // key length, one letter, type, value
constexpr size_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // name length, one letter, dimensions, one of them, type, offset
constexpr uint64_t kMinAlignment = 8, kMaxAlignment = uint64_t{1} << 20;

// Walks over the bytes of a file from front to back.
class Cursor {
public:
    Cursor(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(printable(file)) {}

    size_t offset() const { return offset_; }
    size_t left() const { return bytes_.size() - offset_; }
    const char* file() const { return file_.c_str(); }

    /// What is being read, for messages: "key `general.name`".
    void enter(std::string subject) { subject_ = std::move(subject); }
    const char* subject() const { return subject_.c_str(); }

    /// The next `size` bytes, which are the `part` of the subject.
    std::span<const std::byte> take(uint64_t size, const char* part) {
        if (size > left()) {
            fail("%s: %s: its %s (%" PRIu64
                 " bytes from byte %zu) lies beyond the end of the file (%zu bytes); the file is "
                 "truncated or damaged",
                 file(), subject(), part, size, offset_, bytes_.size());
        }
        const auto taken = bytes_.subspan(offset_, static_cast<size_t>(size));
        offset_ += taken.size();
        return taken;
    }

    template <class T>
    T number(const char* part) {
        T value;
        std::memcpy(&value, take(sizeof value, part).data(), sizeof value);
        return value;
    }

    std::string_view text(const char* part) {
        const auto length = number<uint64_t>("length");
        const auto bytes = take(length, part);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }

    /// A key or tensor name. Becomes the subject, as "KIND `NAME`".
    std::string name(const char* kind, size_t index, uint64_t count) {
        enter(strprintf("%s %zu of %" PRIu64, kind, index + 1, count));
        const std::string_view name = text("name");
        if (name.empty()) fail("%s: %s has an empty name", file(), subject());
        if (name.size() > gguf::kMaxNameBytes) {
            fail("%s: %s has a name of %zu bytes, more than %zu", file(), subject(), name.size(), gguf::kMaxNameBytes);
        }
        enter(std::string(kind) + " `" + printable(name) + "`");
        return std::string(name);
    }

    /// Checks that `count` things of at least `least` bytes can follow.
    void check_count(uint64_t count, size_t least, const char* things) const {
        if (count <= left() / least) return;
        fail("%s: %s: claims %" PRIu64 " %s, but only %zu bytes follow byte %zu; the file is truncated or damaged", file(),
             subject(), count, things, left(), offset_);
    }

private:
    std::span<const std::byte> bytes_;
    std::string file_, subject_;
    size_t offset_ = 0;
};

template <class T>
T read_scalar(Cursor& cursor) {
    if constexpr (std::is_same_v<T, std::string>) {
        return std::string(cursor.text("text"));
    } else if constexpr (std::is_same_v<T, bool>) {
        const auto byte = cursor.number<uint8_t>("value");
        if (byte > 1) fail("%s: %s: has a bool of %u, expected 0 or 1", cursor.file(), cursor.subject(), unsigned(byte));
        return byte == 1;
    } else {
        return cursor.number<T>("value");
    }
}

template <class T>
std::vector<T> read_array(Cursor& cursor) {
    const auto count = cursor.number<uint64_t>("array length");
    constexpr size_t least = std::is_same_v<T, std::string> ? sizeof(uint64_t) : sizeof(T);
    cursor.check_count(count, least, "array elements");
    std::vector<T> values;
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>) {
        values.reserve(std::min<uint64_t>(count, 1 << 16));
        for (uint64_t i = 0; i < count; ++i) values.push_back(read_scalar<T>(cursor));
    } else {
        values.resize(static_cast<size_t>(count));
        const auto bytes = cursor.take(count * sizeof(T), "array");
        if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    }
    return values;
}

// Reads a scalar of the type with this number in the file, or an array of it.
GgufValue read_typed(Cursor& cursor, uint32_t type, bool array) {
    const auto read = [&]<class T>(std::type_identity<T>) -> GgufValue {
        if (array) return read_array<T>(cursor);
        return read_scalar<T>(cursor);
    };
    switch (type) {
        case 0: return read(std::type_identity<uint8_t>());
        case 1: return read(std::type_identity<int8_t>());
        case 2: return read(std::type_identity<uint16_t>());
        case 3: return read(std::type_identity<int16_t>());
        case 4: return read(std::type_identity<uint32_t>());
        case 5: return read(std::type_identity<int32_t>());
        case 6: return read(std::type_identity<float>());
        case 7: return read(std::type_identity<bool>());
        case 8: return read(std::type_identity<std::string>());
        case 10: return read(std::type_identity<uint64_t>());
        case 11: return read(std::type_identity<int64_t>());
        case 12: return read(std::type_identity<double>());
        case gguf::kArrayType:
            fail("%s: %s is an array of arrays, which nib does not read", cursor.file(), cursor.subject());
        default:
            fail("%s: %s has value type %" PRIu32 " at byte %zu, which GGUF does not define; the file is damaged",
                 cursor.file(), cursor.subject(), type, cursor.offset() - sizeof type);
    }
}

GgufEntry read_entry(Cursor& cursor, size_t index, uint64_t count) {
    std::string key = cursor.name("key", index, count);
    auto type = cursor.number<uint32_t>("value type");
    const bool array = type == gguf::kArrayType;
    if (array) type = cursor.number<uint32_t>("element type");
    return {std::move(key), read_typed(cursor, type, array)};
}

// A tensor's description as the file has it; `data` is set later, when it is known where the descriptions end.
struct Description {
    GgufTensor tensor;
    uint64_t offset, bytes;  // of the data; the offset counts from the start of the data section
};

Description read_description(Cursor& cursor, size_t index, uint64_t count) {
    Description read;
    read.tensor.name = cursor.name("tensor", index, count);
    const auto dimensions = cursor.number<uint32_t>("number of dimensions");
    if (dimensions < 1 || dimensions > gguf::kMaxDimensions) {
        fail("%s: %s: has %" PRIu32 " dimensions, expected 1 to %zu", cursor.file(), cursor.subject(), dimensions,
             gguf::kMaxDimensions);
    }
    read.tensor.shape.resize(dimensions);
    for (size_t i = dimensions; i-- > 0;) read.tensor.shape[i] = cursor.number<int64_t>("shape");  // innermost first
    read.tensor.type = static_cast<DType>(cursor.number<uint32_t>("element type"));
    read.offset = cursor.number<uint64_t>("data offset");
    const std::string where = std::string(cursor.file()) + ": " + cursor.subject();
    read.bytes = checked_tensor_bytes(where, read.tensor.type, read.tensor.shape);
    return read;
}

// Points `tensor.data` into `bytes`, after checking that it is inside.
void place(Description& read, std::span<const std::byte> bytes, uint64_t data_start, uint64_t alignment, const char* file) {
    const std::string name = printable(read.tensor.name);
    if (read.offset % alignment != 0) {
        fail("%s: tensor `%s`: data offset %" PRIu64 " is not a multiple of the file's alignment of %" PRIu64, file,
             name.c_str(), read.offset, alignment);
    }
    uint64_t begin, end;
    if (__builtin_add_overflow(data_start, read.offset, &begin) || __builtin_add_overflow(begin, read.bytes, &end)) {
        fail("%s: tensor `%s`: data offset %" PRIu64 " is impossible; the file is damaged", file, name.c_str(),
             read.offset);
    }
    if (end > bytes.size()) {
        fail("%s: tensor `%s`: data at byte %" PRIu64 "..%" PRIu64
             " lies beyond the end of the file (%zu bytes); the file is "
             "truncated or damaged",
             file, name.c_str(), begin, end, bytes.size());
    }
    read.tensor.data = bytes.subspan(static_cast<size_t>(begin), static_cast<size_t>(read.bytes));
}

void check_no_overlap(const std::vector<GgufTensor>& tensors, const char* file) {
    std::vector<size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return tensors[a].data.data() < tensors[b].data.data(); });
    for (size_t i = 1; i < order.size(); ++i) {
        const GgufTensor &a = tensors[order[i - 1]], &b = tensors[order[i]];
        if (a.data.data() + a.data.size() > b.data.data()) {
            fail("%s: the data of the tensors `%s` and `%s` overlap; the file is damaged", file, printable(a.name).c_str(),
                 printable(b.name).c_str());
        }
    }
}

// Indices of `elements` in the order of their names, which must be distinct.
template <class Element>
std::vector<size_t> order_by_name(const std::vector<Element>& elements, std::string Element::*name, const char* kind,
                                  const char* file) {
    std::vector<size_t> order(elements.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return elements[a].*name < elements[b].*name; });
    const auto same = std::adjacent_find(order.begin(), order.end(),
                                         [&](size_t a, size_t b) { return elements[a].*name == elements[b].*name; });
    if (same != order.end()) fail("%s: %s `%s` is there twice", file, kind, printable(elements[*same].*name).c_str());
    return order;
}

// What a file that is not GGUF seems to be, with a hint; nullptr if unknown.
const char* guess_format(std::string_view text) {
    const auto starts = [&](std::string_view magic) { return text.starts_with(magic); };
    if (starts("version https://git-lfs")) return "a Git LFS pointer instead of the model: fetch it with `git lfs pull`";
    if (starts("<!DOCTYPE") || starts("<!doctype") || starts("<html")) return "a web page: the download went wrong";
    if (starts("PK\3\4")) return "a zip archive (a PyTorch checkpoint or .npz): convert it first";
    if (starts("\x80\2") || starts("\x80\4")) return "a Python pickle (a PyTorch checkpoint): convert it first";
    if (text.size() > 9 && text[8] == '{') return "a safetensors file: convert it first";
    if (starts("{")) return "JSON: name the folder or the weight file instead";
    if (starts("lmgg") || starts("fmgg") || starts("tjgg"))
        return "a GGML file from before GGUF: convert it with a current tool";
    if (starts("\x93NUMPY")) return "a NumPy array";
    if (starts("\x1f\x8b")) return "a gzip archive: unpack it first";
    return nullptr;
}

// Checks magic and version; leaves the cursor after them.
void read_preamble(Cursor& cursor, std::span<const std::byte> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.empty()) fail("%s: not a GGUF file: it is empty", cursor.file());
    if (!text.starts_with("GGUF")) {
        if (const char* guess = guess_format(text)) fail("%s: not a GGUF file: it looks like %s", cursor.file(), guess);
        fail("%s: not a GGUF file: it begins with `%s` instead of `GGUF`", cursor.file(),
             printable(text.substr(0, 4)).c_str());
    }
    cursor.take(4, "magic");
    const auto version = cursor.number<uint32_t>("version");
    if ((version & 0xFFFFu) == 0 && version != 0) {
        fail("%s: is a big-endian GGUF file; nib reads little-endian files only", cursor.file());
    }
    if (version != 2 && version != gguf::kVersion) {
        fail("%s: has GGUF version %" PRIu32 ", but nib reads versions 2 and 3", cursor.file(), version);
    }
}

}  // namespace

GgufFile GgufFile::open(const std::string& path) {
    MappedFile mapping(path);
    GgufFile file = parse(mapping.bytes(), path);
    file.mapping_ = std::move(mapping);
    return file;
}

GgufFile GgufFile::parse(std::span<const std::byte> bytes, const std::string& name) {
    GgufFile file;
    file.name_ = name;
    file.bytes_ = bytes;
    Cursor cursor(bytes, name);
    cursor.enter("header");
    read_preamble(cursor, bytes);
    const auto tensor_count = cursor.number<uint64_t>("tensor count");
    const auto entry_count = cursor.number<uint64_t>("key count");
    cursor.check_count(tensor_count, kMinTensorBytes, "tensors");
    cursor.check_count(entry_count, kMinEntryBytes, "keys");

    for (size_t i = 0; i < entry_count; ++i) file.metadata_.push_back(read_entry(cursor, i, entry_count));
    file.keys_by_name_ = order_by_name(file.metadata_, &GgufEntry::key, "key", cursor.file());
    const auto alignment = file.get_or<uint64_t>(gguf::kAlignmentKey, gguf::kDefaultAlignment);
    if (!std::has_single_bit(alignment) || alignment < kMinAlignment || alignment > kMaxAlignment) {
        fail("%s: key `%s` is %" PRIu64 ", expected a power of two from %" PRIu64 " to %" PRIu64, cursor.file(),
             gguf::kAlignmentKey, alignment, kMinAlignment, kMaxAlignment);
    }

    std::vector<Description> descriptions;
    for (size_t i = 0; i < tensor_count; ++i) descriptions.push_back(read_description(cursor, i, tensor_count));
    const uint64_t data_start = align_up<uint64_t>(cursor.offset(), alignment);
    for (Description& read : descriptions) {
        place(read, bytes, data_start, alignment, cursor.file());
        file.tensors_.push_back(std::move(read.tensor));
    }
    file.tensors_by_name_ = order_by_name(file.tensors_, &GgufTensor::name, "tensor", cursor.file());
    check_no_overlap(file.tensors_, cursor.file());
    return file;
}

}  // namespace nib

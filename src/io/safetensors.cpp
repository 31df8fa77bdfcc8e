#include "io/safetensors.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "io/json_events.h"

namespace nib {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as in the reference implementation

// What the header says about one tensor.
struct Entry {
    std::string name;
    std::optional<std::string> type;
    std::optional<std::vector<int64_t>> shape;
    std::optional<std::vector<uint64_t>> offsets;
};

// {"__metadata__": {"key": "text", ...}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
class HeaderEvents : public JsonEvents {
public:
    explicit HeaderEvents(const std::string& file) : JsonEvents(file + ": safetensors header") {}

    std::vector<Entry> entries;

    bool start_object(size_t) override {
        if (place_ != (depth_ == 0 ? Place::Start : Place::Value)) unexpected("an object");
        ++depth_;
        place_ = Place::Key;
        return true;
    }

    bool end_object() override {
        if (depth_ == 2 && !metadata_) check_complete(entries.back());
        --depth_;
        place_ = Place::Key;
        return true;
    }

    bool key(std::string& name) override {
        if (depth_ == 1) {
            metadata_ = name == "__metadata__";
            if (!names_.insert(name).second) fail("%s: tensor `%s` is there twice", where(), printable(name).c_str());
            if (!metadata_) entries.push_back({name, {}, {}, {}});
            place_ = Place::Value;
        } else if (metadata_) {
            place_ = Place::Text;
        } else {
            enter_field(name);
        }
        return true;
    }

    bool null() override {  // some writers put it where there is no metadata
        if (depth_ != 1 || !metadata_) unexpected("null");
        place_ = Place::Key;
        return true;
    }

    bool string(std::string& text) override {
        if (place_ == Place::Type) {
            entries.back().type = std::move(text);
        } else if (place_ != Place::Text) {
            unexpected("a string");
        }
        place_ = Place::Key;
        return true;
    }

    bool start_array(size_t) override {
        if (place_ != Place::ShapeArray && place_ != Place::OffsetsArray) unexpected("an array");
        place_ = place_ == Place::ShapeArray ? Place::Dimension : Place::Offset;
        return true;
    }

    bool end_array() override {
        place_ = Place::Key;
        return true;
    }

    bool number_unsigned(uint64_t number) override {
        if (place_ == Place::Dimension) {
            if (number > uint64_t(std::numeric_limits<int64_t>::max())) unexpected("a number beyond 63 bits");
            entries.back().shape->push_back(static_cast<int64_t>(number));
        } else if (place_ == Place::Offset) {
            entries.back().offsets->push_back(number);
        } else {
            unexpected("a number");
        }
        return true;
    }

private:
    enum class Place { Start, Key, Value, Text, Type, ShapeArray, Dimension, OffsetsArray, Offset };

    void enter_field(const std::string& name) {
        Entry& entry = entries.back();
        bool first;
        if (name == "dtype") {
            place_ = Place::Type, first = !entry.type;
        } else if (name == "shape") {
            place_ = Place::ShapeArray, first = !entry.shape;
            entry.shape.emplace();
        } else if (name == "data_offsets") {
            place_ = Place::OffsetsArray, first = !entry.offsets;
            entry.offsets.emplace();
        } else {
            fail("%s: tensor `%s`: has an unknown field `%s`", where(), printable(entry.name).c_str(),
                 printable(name).c_str());
        }
        if (!first) fail("%s: tensor `%s`: has its %s twice", where(), printable(entry.name).c_str(), name.c_str());
    }

    void check_complete(const Entry& entry) const {
        const char* missing = !entry.type ? "dtype" : !entry.shape ? "shape" : !entry.offsets ? "data_offsets" : nullptr;
        if (missing != nullptr) fail("%s: tensor `%s`: has no %s", where(), printable(entry.name).c_str(), missing);
    }

    std::string expected() const override {
        static const char* const expected[] = {"an object", "a key",  "an object",     "a string",  "a string",
                                               "an array",  "a size", "two positions", "a position"};
        const std::string what = expected[static_cast<size_t>(place_)];
        if (depth_ == 0) return what;
        return what + (metadata_ ? " of __metadata__" : " of tensor `" + printable(entries.back().name) + "`");
    }

    Place place_ = Place::Start;
    int depth_ = 0;
    bool metadata_ = false;
    std::unordered_set<std::string> names_;
};

SourceType type_of(std::string_view name) {
    static constexpr std::pair<std::string_view, SourceType> types[] = {
        {"F64",  SourceType::F64 },
        {"F32",  SourceType::F32 },
        {"F16",  SourceType::F16 },
        {"BF16", SourceType::BF16},
        {"I64",  SourceType::I64 },
        {"I32",  SourceType::I32 },
        {"I16",  SourceType::I16 },
        {"I8",   SourceType::I8  },
        {"U8",   SourceType::U8  },
        {"BOOL", SourceType::Bool}
    };
    for (const auto& [known, type] : types) {
        if (known == name) return type;
    }
    return SourceType::Unknown;
}

// The tensor that `entry` describes; `data` are the bytes of all tensors.
SourceTensor make_tensor(Entry entry, std::span<const std::byte> data, const std::string& file) {
    const std::string where = file + ": tensor `" + printable(entry.name) + "`";
    if (entry.offsets->size() != 2) {
        fail("%s: has %zu data_offsets instead of 2; the file is damaged", where.c_str(), entry.offsets->size());
    }
    const uint64_t begin = (*entry.offsets)[0], end = (*entry.offsets)[1];
    if (begin > end || end > data.size()) {
        fail("%s: data at %" PRIu64 "..%" PRIu64 " lies outside the %zu bytes that follow the header; the file is %s",
             where.c_str(), begin, end, data.size(), begin > end ? "damaged" : "truncated or damaged");
    }
    SourceTensor tensor;
    tensor.type = type_of(*entry.type);
    tensor.type_name = source_type_name(tensor.type);
    const int64_t elements = checked_elements(where, *entry.shape);
    if (tensor.type == SourceType::Unknown) {
        tensor.type_name = printable(*entry.type, 40);
        tensor.refusal = "has type " + tensor.type_name + ", which nib does not read (it reads F64, F32, F16 and BF16)";
    } else if (const auto bytes = static_cast<uint64_t>(elements * source_type_bytes(tensor.type)); bytes != end - begin) {
        fail("%s: has %" PRIu64 " bytes of data, but its type %s and shape need %" PRIu64 "; the file is damaged",
             where.c_str(), end - begin, tensor.type_name.c_str(), bytes);
    }
    tensor.name = std::move(entry.name);
    tensor.file = file;
    tensor.shape = std::move(*entry.shape);
    tensor.strides = contiguous_strides(tensor.shape);
    tensor.data = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    return tensor;
}

// `tensors` are in the order of their data.
void check_filled(const std::vector<SourceTensor>& tensors, std::span<const std::byte> data, const std::string& file) {
    const std::byte* end = data.data();
    for (const SourceTensor& tensor : tensors) {
        if (tensor.data.data() != end) {
            fail("%s: tensor `%s`: its data %s before it; the file is damaged", file.c_str(),
                 printable(tensor.name).c_str(),
                 tensor.data.data() < end ? "overlap those of the tensor" : "leave unused bytes");
        }
        end += tensor.data.size();
    }
    const auto unused = static_cast<size_t>(data.data() + data.size() - end);
    if (unused != 0) fail("%s: %zu bytes follow the last tensor's data; the file is damaged", file.c_str(), unused);
}

}  // namespace

std::vector<SourceTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& name) {
    const std::string file = printable(name);
    uint64_t length;
    if (bytes.size() < sizeof length) {
        fail("%s: is not a safetensors file: it has only %zu bytes", file.c_str(), bytes.size());
    }
    std::memcpy(&length, bytes.data(), sizeof length);
    bytes = bytes.subspan(sizeof length);
    if (length > kMaxHeaderBytes) {
        fail("%s: is not a safetensors file: it begins with a header length of %" PRIu64 " bytes (the most is %" PRIu64 ")",
             file.c_str(), length, kMaxHeaderBytes);
    }
    if (length > bytes.size()) {
        fail("%s: the header of %" PRIu64 " bytes lies beyond the end of the file; the file is truncated", file.c_str(),
             length);
    }
    const std::string_view header(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(length));
    if (!header.starts_with('{')) {
        fail("%s: is not a safetensors file: its header begins with `%s` instead of `{`", file.c_str(),
             printable(header.substr(0, 1)).c_str());
    }
    HeaderEvents events(file);
    events.parse(header);

    const auto data = bytes.subspan(header.size());
    std::vector<SourceTensor> tensors;
    for (Entry& entry : events.entries) tensors.push_back(make_tensor(std::move(entry), data, file));
    std::stable_sort(tensors.begin(), tensors.end(), [](const SourceTensor& a, const SourceTensor& b) {
        return a.data.data() != b.data.data() ? a.data.data() < b.data.data() : a.data.size() < b.data.size();
    });
    check_filled(tensors, data, file);
    return tensors;
}

std::string safetensors_header(std::span<const SafetensorsEntry> entries) {
    static const char* const types[] = {"F64", "F32", "F16", "BF16"};
    std::string text = R"({"__metadata__":{"format":"pt"})";
    int64_t offset = 0;
    for (const SafetensorsEntry& entry : entries) {
        CHECK(is_floating_point(entry.type));
        const int64_t end = offset + checked_elements(entry.name, entry.shape) * source_type_bytes(entry.type);
        std::string shape;
        for (const int64_t d : entry.shape) shape += (shape.empty() ? "" : ",") + std::to_string(d);
        text += "," + nlohmann::json(entry.name).dump() + R"(:{"dtype":")" + types[static_cast<size_t>(entry.type)] +
                R"(","shape":[)" + shape + R"(],"data_offsets":[)" + std::to_string(offset) + "," + std::to_string(end) +
                "]}";
        offset = end;
    }
    text += "}";
    text.append((8 - text.size() % 8) % 8, ' ');  // aligns the data
    const uint64_t length = text.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

}  // namespace nib

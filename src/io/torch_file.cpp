#include "io/torch_file.h"

#include <cinttypes>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "io/state_dict.h"
#include "io/torch_container.h"

namespace nib {
namespace {

using Kind = PickleValue::Kind;

std::vector<int64_t> integers(const PickleValue& tuple) {
    std::vector<int64_t> values;
    for (const PickleValue* value : tuple.elements()) values.push_back(*value->integer());
    return values;
}

// The bytes of a storage, after checking that there are as many as the pickle says.
std::span<const std::byte> storage_bytes(const PickleStorage& storage, const TorchContainer& container,
                                         const std::string& where) {
    const std::string key = printable(storage.key, 40);
    const auto found = container.storages.find(storage.key);
    if (found == container.storages.end()) {
        fail("%s: its storage `%s` is missing; the file is damaged", where.c_str(), key.c_str());
    }
    const std::span<const std::byte> data = found->second;
    const auto size = static_cast<uint64_t>(storage.element_bytes);
    if (storage.count < 0 || data.size() % size != 0 || data.size() / size != static_cast<uint64_t>(storage.count)) {
        fail("%s: its storage `%s` has %zu bytes, but the checkpoint claims %" PRId64 " elements of %" PRIu64
             " bytes; the file is damaged",
             where.c_str(), key.c_str(), data.size(), storage.count, size);
    }
    if (storage.first < 0 || storage.used < 0 || storage.first > storage.count ||
        storage.used > storage.count - storage.first) {
        fail("%s: its storage `%s` is a part of one of %" PRId64 " elements, but reaches beyond it; the file is damaged",
             where.c_str(), key.c_str(), storage.count);
    }
    return data.subspan(static_cast<size_t>(storage.first) * size, static_cast<size_t>(storage.used) * size);
}

// The bytes that a view of `tensor`'s shape and strides touches.
std::span<const std::byte> view_bytes(const SourceTensor& tensor, int64_t offset, std::span<const std::byte> storage,
                                      const std::string& where) {
    const int64_t size = source_type_bytes(tensor.type), count = static_cast<int64_t>(storage.size()) / size;
    if (tensor.elements() == 0) return {};
    bool inside = offset >= 0 && offset < count;
    int64_t last = offset;  // index of the last element
    for (size_t d = 0; d < tensor.shape.size(); ++d) {
        int64_t distance;
        inside = inside && tensor.strides[d] >= 0 &&
                 !__builtin_mul_overflow(tensor.shape[d] - 1, tensor.strides[d], &distance) && distance < count - last;
        if (inside) last += distance;
    }
    if (!inside) {
        fail("%s: its shape, strides and offset reach beyond its storage of %" PRId64 " elements; the file is damaged",
             where.c_str(), count);
    }
    return storage.subspan(static_cast<size_t>(offset * size), static_cast<size_t>((last - offset + 1) * size));
}

SourceTensor make_tensor(std::string_view name, const PickleTensor& from, const TorchContainer& container,
                         const std::string& file) {
    const std::string where = file + ": tensor `" + printable(name) + "`";
    SourceTensor tensor;
    tensor.name = name;
    tensor.file = file;
    tensor.type = from.type;
    tensor.shape = integers(*from.shape);
    tensor.strides = integers(*from.strides);
    const int64_t elements = checked_elements(where, tensor.shape);
    const auto storage = storage_bytes(*from.storage, container, where);
    if (tensor.type == SourceType::Unknown) {
        tensor.type_name = from.type_name;
        tensor.refusal = "has type " + tensor.type_name + ", which nib does not read (it reads F64, F32, F16 and BF16)";
        return tensor;
    }
    tensor.type_name = source_type_name(tensor.type);
    tensor.data = view_bytes(tensor, from.offset, storage, where);
    if (elements > static_cast<int64_t>(storage.size()) / source_type_bytes(tensor.type)) {
        tensor.refusal = "is an expanded view, with more elements than are stored; save it with .contiguous()";
    } else if (from.lazy) {
        tensor.refusal = "is a view that PyTorch has yet to conjugate or negate; save it with .resolve_neg()";
    }
    return tensor;
}

// A tensor that is listed although it cannot be read.
SourceTensor make_unreadable(std::string_view name, const PickleValue& object, const std::string& file) {
    SourceTensor tensor;
    tensor.name = name;
    tensor.file = file;
    tensor.type_name = printable(object.name(), 100);
    tensor.refusal = why_unreadable(object);
    return tensor;
}

std::string note_of(const StateDict& found, const std::string& file) {
    std::string others;
    for (size_t i = 0; i < found.others.size() && i < 4; ++i) {
        others += (i > 0 ? ", `" : "`") + printable(found.others[i]) + "`";
    }
    return file + ": taking the tensors of `" + printable(found.key) + "`, not those of " + others +
           (found.others.size() > 4 ? ", ..." : "");
}

}  // namespace

bool is_torch_file(std::span<const std::byte> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text.starts_with("PK") || is_torch_legacy(bytes);
}

TorchFile TorchFile::parse(std::span<const std::byte> bytes, const std::string& name) {
    const std::string file = printable(name);
    TorchContainer container = is_torch_legacy(bytes) ? read_torch_legacy(bytes, name) : read_torch_archive(bytes, name);
    const StateDict found = find_state_dict(container.pickle.root(), file);
    TorchFile torch;
    for (const PickleItem& item : found.dict->entries()) {
        if (item.key->kind() != Kind::Text) continue;
        const std::string_view key = *item.key->text();
        if (const PickleTensor* tensor = item.value->tensor()) {
            torch.tensors.push_back(make_tensor(key, *tensor, container, file));
        } else if (item.value->kind() == Kind::Object && item.value->holds_weights()) {
            torch.tensors.push_back(make_unreadable(key, *item.value, file));
        }
    }
    check_distinct_names(torch.tensors);
    if (!found.others.empty()) torch.notes.push_back(note_of(found, file));
    torch.pickle = std::move(container.pickle);
    return torch;
}

}  // namespace nib

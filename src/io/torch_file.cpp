#include "io/torch_file.h"

#include <cinttypes>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "io/zip.h"

namespace nib {
namespace {

using Kind = PickleValue::Kind;

// The archive's only folder, with its slash; it bears the name that the file had when it was saved.
std::string find_folder(const ZipArchive& archive, const std::string& file) {
    const auto& entries = archive.entries();
    const std::string_view first = entries.empty() ? "" : entries.front().name;
    const std::string folder(first.substr(0, first.find('/') + 1));
    if (archive.find(folder + "constants.pkl") != nullptr) {
        fail("%s: is a TorchScript archive; save model.state_dict() with torch.save instead", file.c_str());
    }
    if (folder.empty() || archive.find(folder + "data.pkl") == nullptr) {
        fail("%s: is a zip archive, but not a PyTorch checkpoint: it has no data.pkl", file.c_str());
    }
    return folder;
}

void check_byte_order(const ZipArchive& archive, const std::string& folder, const std::string& file) {
    const ZipEntry* entry = archive.find(folder + "byteorder");
    if (entry == nullptr) return;  // before PyTorch 2.1
    const std::string_view order(reinterpret_cast<const char*>(entry->data.data()), entry->data.size());
    if (order == "little") return;
    fail("%s: was saved with byte order `%s`; nib reads little-endian checkpoints only", file.c_str(),
         printable(order, 20).c_str());
}

std::vector<int64_t> integers(const PickleValue& tuple) {
    std::vector<int64_t> values;
    for (const PickleValue* value : tuple.elements()) values.push_back(*value->integer());
    return values;
}

// The bytes of a storage, after checking that the archive has as many as the pickle says.
std::span<const std::byte> storage_bytes(const PickleStorage& storage, const ZipArchive& archive, const std::string& folder,
                                         const std::string& where) {
    const ZipEntry* entry = archive.find(folder + "data/" + std::string(storage.key));
    if (entry == nullptr) {
        fail("%s: its data `data/%s` are missing in the archive; the file is damaged", where.c_str(),
             printable(storage.key).c_str());
    }
    const auto unit = static_cast<uint64_t>(storage.untyped ? 1 : source_type_bytes(storage.type));
    const auto count = static_cast<uint64_t>(storage.count);
    if (storage.count < 0 || (unit != 0 && (entry->data.size() % unit != 0 || entry->data.size() / unit != count))) {
        fail("%s: its data `data/%s` have %zu bytes, but the checkpoint claims %" PRId64 " elements of %" PRIu64
             " bytes; the file is damaged",
             where.c_str(), printable(storage.key).c_str(), entry->data.size(), storage.count, unit);
    }
    return entry->data;
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

SourceTensor make_tensor(std::string_view name, const PickleTensor& from, const ZipArchive& archive,
                         const std::string& folder, const std::string& file) {
    const std::string where = file + ": tensor `" + printable(name) + "`";
    SourceTensor tensor;
    tensor.name = name;
    tensor.file = file;
    tensor.type = from.type;
    tensor.shape = integers(*from.shape);
    tensor.strides = integers(*from.strides);
    const int64_t elements = checked_elements(where, tensor.shape);
    const auto storage = storage_bytes(*from.storage, archive, folder, where);
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

// Up to a few of the keys, for a message.
std::string some_keys(const PickleValue& dict) {
    std::string keys;
    size_t shown = 0;
    for (const PickleItem& item : dict.entries()) {
        if (item.key->kind() != Kind::Text) continue;
        if (shown++ == 8) return keys + ", ...";
        keys += (keys.empty() ? "`" : ", `") + printable(*item.key->text(), 40) + "`";
    }
    return keys.empty() ? "no names" : keys;
}

bool holds_tensors(const PickleValue& value) {
    for (const PickleItem& item : value.entries()) {
        if (item.key->kind() == Kind::Text && item.value->kind() == Kind::Tensor) return true;
    }
    return false;
}

}  // namespace

const PickleValue* find_state_dict(const PickleValue& root) {
    for (const char* key : {"model", "state_dict", "model_state_dict"}) {
        const PickleValue* value = root.find(key);
        if (value != nullptr && holds_tensors(*value)) return value;
    }
    return holds_tensors(root) ? &root : nullptr;
}

TorchFile TorchFile::parse(std::span<const std::byte> bytes, const std::string& name) {
    const std::string file = printable(name);
    const ZipArchive archive = ZipArchive::parse(bytes, name);
    const std::string folder = find_folder(archive, file);
    check_byte_order(archive, folder, file);
    TorchFile torch;
    torch.pickle = Pickle::parse(archive.find(folder + "data.pkl")->data, file + ": data.pkl");
    const PickleValue& root = torch.pickle.root();
    const PickleValue* dict = find_state_dict(root);
    if (dict == nullptr) {
        fail(
            "%s: holds no state dict: expected tensors by name, or a dict of them under `model`, `state_dict` or "
            "`model_state_dict`; it holds %s",
            file.c_str(), some_keys(root).c_str());
    }
    for (const PickleItem& item : dict->entries()) {
        const PickleTensor* tensor = item.value->tensor();
        if (item.key->kind() != Kind::Text || tensor == nullptr) continue;
        torch.tensors.push_back(make_tensor(*item.key->text(), *tensor, archive, folder, file));
    }
    check_distinct_names(torch.tensors);
    return torch;
}

}  // namespace nib

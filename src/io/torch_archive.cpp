// PyTorch's zip archives: one folder with data.pkl, byteorder, and data/KEY for each storage.
#include <algorithm>

#include "core/error.h"
#include "io/torch_container.h"
#include "io/zip.h"

namespace nib {
namespace {

// The archive's only folder, with a slash; it has the name that the file had when it was saved.
std::string folder_of(const ZipArchive& archive) {
    const auto& entries = archive.entries();
    const std::string_view first = entries.empty() ? "" : entries.front().name;
    return std::string(first.substr(0, first.find('/') + 1));
}

// constants.pkl, or model.json before PyTorch 1.4.
bool is_script(const ZipArchive& archive) {
    const std::string folder = folder_of(archive);
    return archive.find(folder + "constants.pkl") != nullptr || archive.find(folder + "model.json") != nullptr;
}

void check_kind(const ZipArchive& archive, const std::string& file) {
    if (is_script(archive)) {
        fail("%s: is a TorchScript archive; save model.state_dict() with torch.save instead", file.c_str());
    }
    const auto& entries = archive.entries();
    const auto numpy = [](const ZipEntry& entry) { return entry.name.ends_with(".npy"); };
    if (std::any_of(entries.begin(), entries.end(), numpy)) {
        fail("%s: is an archive of NumPy arrays; make tensors of them and save these with torch.save", file.c_str());
    }
    const std::string folder = folder_of(archive);
    if (folder.empty() || archive.find(folder + "data.pkl") == nullptr) {
        fail("%s: is a zip archive, but not a PyTorch checkpoint: it has no data.pkl", file.c_str());
    }
}

void check_stored(const ZipArchive& archive, const std::string& file) {
    for (const ZipEntry& entry : archive.entries()) {
        if (entry.method == 0) continue;
        fail(
            "%s: zip entry `%s`: is compressed (method %u); torch.save stores entries as they are: unpack the archive and "
            "pack it with `zip -0`, or save the checkpoint anew",
            file.c_str(), printable(entry.name).c_str(), entry.method);
    }
}

void check_byte_order(const ZipArchive& archive, const std::string& file) {
    const ZipEntry* entry = archive.find(folder_of(archive) + "byteorder");
    if (entry == nullptr) return;  // before PyTorch 2.1
    const std::string_view order(reinterpret_cast<const char*>(entry->data.data()), entry->data.size());
    if (order == "little") return;
    fail("%s: was saved with byte order `%s`; nib reads little-endian checkpoints only", file.c_str(),
         printable(order, 20).c_str());
}

}  // namespace

bool is_torch_script(std::span<const std::byte> bytes) {
    try {
        return is_script(ZipArchive::parse(bytes, ""));
    } catch (const Error&) {
        return false;
    }
}

TorchContainer read_torch_archive(std::span<const std::byte> bytes, const std::string& name) {
    const std::string file = printable(name);
    const ZipArchive archive = ZipArchive::parse(bytes, name);
    check_kind(archive, file);
    check_stored(archive, file);
    check_byte_order(archive, file);
    const std::string folder = folder_of(archive), data = folder + "data/";
    TorchContainer container;
    container.pickle = Pickle::parse(archive.find(folder + "data.pkl")->data, file + ": data.pkl");
    for (const ZipEntry& entry : archive.entries()) {
        if (entry.name.starts_with(data)) container.storages.emplace(entry.name.substr(data.size()), entry.data);
    }
    return container;
}

}  // namespace nib

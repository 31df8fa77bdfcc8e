// PyTorch's format before 1.6: five pickles (a magic number, the version of the format, properties of the machine, the
// object, the keys of the storages), then each storage as a count of elements and the elements. After
// torch/serialization.py.
#include <cinttypes>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "io/torch_container.h"

namespace nib {
namespace {

using Kind = PickleValue::Kind;
using Bytes = std::span<const std::byte>;

// 0x1950a86a20f9469cfc6c as the operand of opcode LONG1.
constexpr std::string_view kMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kVersion = 1001;
constexpr size_t kProtoBytes = 2, kFrameBytes = 9;

// What the pickle says about a storage.
struct Claim {
    int64_t element_bytes, count;
};

std::map<std::string_view, Claim> claims(const Pickle& pickle, const std::string& file) {
    std::map<std::string_view, Claim> claims;
    for (const PickleStorage* storage : pickle.storages()) {
        const auto [known, added] = claims.emplace(storage->key, Claim{storage->element_bytes, storage->count});
        const Claim& claim = known->second;
        if (!added && (claim.element_bytes != storage->element_bytes || claim.count != storage->count)) {
            fail("%s: refers to storage `%s` as two that differ; the file is damaged", file.c_str(),
                 printable(storage->key, 40).c_str());
        }
    }
    return claims;
}

// Takes a storage from the front of `bytes` and returns its elements.
Bytes take_storage(Bytes& bytes, const Claim& claim, const std::string& where) {
    int64_t count;
    if (bytes.size() < sizeof count) fail("%s: is not there; the file is truncated", where.c_str());
    std::memcpy(&count, bytes.data(), sizeof count);
    bytes = bytes.subspan(sizeof count);
    if (count < 0 || count != claim.count) {
        fail("%s: has %" PRId64 " elements, but the object refers to one of %" PRId64 "; the file is damaged",
             where.c_str(), count, claim.count);
    }
    const auto size = static_cast<uint64_t>(claim.element_bytes);
    if (static_cast<uint64_t>(count) > bytes.size() / size) {
        fail("%s: its %" PRId64 " elements of %" PRIu64 " bytes reach beyond the end of the file; the file is truncated",
             where.c_str(), count, size);
    }
    const Bytes data = bytes.first(static_cast<size_t>(count) * static_cast<size_t>(size));
    bytes = bytes.subspan(data.size());
    return data;
}

void check_head(Bytes& bytes, const std::string& file) {
    Pickle::parse_first(bytes, file + ": magic number");
    const Pickle version = Pickle::parse_first(bytes, file + ": version");
    if (version.root().integer() != kVersion) {
        fail("%s: has another version of PyTorch's format before 1.6 than %" PRId64, file.c_str(), kVersion);
    }
    const Pickle system = Pickle::parse_first(bytes, file + ": system");
    const PickleValue* little = system.root().find("little_endian");
    if (little != nullptr && little->boolean() == false) {
        fail("%s: was saved on a big-endian machine; nib reads little-endian checkpoints only", file.c_str());
    }
}

}  // namespace

bool is_torch_legacy(Bytes bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!text.starts_with('\x80')) return false;
    const bool frame = text.size() > kProtoBytes && text[kProtoBytes] == '\x95';
    return text.substr(std::min(text.size(), kProtoBytes + (frame ? kFrameBytes : 0))).starts_with(kMagic);
}

TorchContainer read_torch_legacy(Bytes bytes, const std::string& name) {
    const std::string file = printable(name);
    check_head(bytes, file);
    TorchContainer container;
    container.pickle = Pickle::parse_first(bytes, file + ": object");
    const auto known = claims(container.pickle, file);
    const Pickle keys = Pickle::parse_first(bytes, file + ": storage keys");
    if (keys.root().kind() != Kind::List) fail("%s: has no list of storages; the file is damaged", file.c_str());
    for (const PickleValue* key : keys.root().elements()) {
        const std::string_view text = key->text().value_or("");
        const std::string where = file + ": storage `" + printable(text, 40) + "`";
        const auto claim = known.find(text);
        if (claim == known.end()) fail("%s: is one that nothing refers to; the file is damaged", where.c_str());
        const Bytes data = take_storage(bytes, claim->second, where);
        if (!container.storages.emplace(claim->first, data).second) {
            fail("%s: is there twice; the file is damaged", where.c_str());
        }
    }
    return container;
}

}  // namespace nib

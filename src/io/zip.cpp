#include "io/zip.h"

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "core/error.h"

namespace nib {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50, kCentralSignature = 0x02014b50, kEndSignature = 0x06054b50,
                   kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint16_t kSaturated16 = 0xFFFF;  // the number is in a zip64 field
constexpr uint32_t kSaturated32 = 0xFFFFFFFF;
constexpr uint16_t kZip64Extra = 1;
constexpr uint16_t kEncrypted = 1 << 0, kDescriptor = 1 << 3;  // flags; with the latter the local header may hold zeros

// Where the central directory is: a list of all entries at the end of the file.
struct Directory {
    uint64_t entries, offset, bytes;
};

// An entry as the central directory has it.
struct Central {
    std::string_view name;
    uint16_t flags, method;
    uint32_t checksum;
    uint64_t compressed, size, offset;
    std::span<const std::byte> data;
    uint64_t end;  // of the data, in the file
};

class Reader {
public:
    Reader(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(printable(file)) {}

    std::vector<Central> read() {
        const Directory directory = find_directory();
        std::vector<Central> entries;
        uint64_t at = directory.offset;
        const uint64_t end = directory.offset + directory.bytes;
        for (uint64_t i = 0; i < directory.entries; ++i) entries.push_back(read_central(at, end));
        if (at != end) damaged("the directory is longer than its entries");
        for (Central& entry : entries) place(entry, directory.offset);
        check_no_overlap(entries);
        return entries;
    }

    const char* file() const { return file_.c_str(); }

private:
    [[noreturn]] void damaged(const char* what) const {
        fail("%s: zip archive: %s; the file is truncated or damaged", file(), what);
    }
    [[noreturn]] void damaged(const Central& entry, const char* what) const {
        fail("%s: zip entry `%s`: %s; the file is truncated or damaged", file(), printable(entry.name).c_str(), what);
    }

    // The number at `at`, which the caller has checked to be in the file.
    template <class T>
    T number(uint64_t at) const {
        CHECK(at <= bytes_.size() && bytes_.size() - at >= sizeof(T));
        T value;
        std::memcpy(&value, bytes_.data() + at, sizeof value);
        return value;
    }

    std::string_view text(uint64_t at, size_t size) const {
        return {reinterpret_cast<const char*>(bytes_.data()) + at, size};
    }

    Directory find_directory() const {
        if (bytes_.size() < kEndBytes) damaged("it has no end");
        const uint64_t last = bytes_.size() - kEndBytes, first = last - std::min<uint64_t>(last, 0xFFFF);
        for (uint64_t at = last + 1; at-- > first;) {  // a comment may follow
            if (number<uint32_t>(at) == kEndSignature && number<uint16_t>(at + 20) == last - at) return read_end(at);
        }
        damaged("it has no end-of-directory record");
    }

    Directory read_end(uint64_t at) const {
        const auto disk = number<uint16_t>(at + 4), first_disk = number<uint16_t>(at + 6);
        const auto here = number<uint16_t>(at + 8), entries = number<uint16_t>(at + 10);
        const auto bytes = number<uint32_t>(at + 12), offset = number<uint32_t>(at + 16);
        Directory directory{entries, offset, bytes};
        const bool large = at >= kLocator64Bytes && number<uint32_t>(at - kLocator64Bytes) == kLocator64Signature;
        if (large) {
            at = read_end64(at - kLocator64Bytes, directory);
            const bool same = (entries == kSaturated16 || entries == directory.entries) &&
                              (bytes == kSaturated32 || bytes == directory.bytes) &&
                              (offset == kSaturated32 || offset == directory.offset);
            if (!same) damaged("its two end-of-directory records contradict each other");
        } else if (disk != 0 || first_disk != 0 || here != entries) {
            fail("%s: zip archive: is split over several files, which nib does not read", file());
        }
        if (directory.offset > at || directory.bytes != at - directory.offset) {
            damaged("its directory is not where its end-of-directory record says");
        }
        if (directory.entries > directory.bytes / kCentralBytes) damaged("its directory claims impossibly many entries");
        return directory;
    }

    // Reads the zip64 record that the locator at `locator` points to; returns its position.
    uint64_t read_end64(uint64_t locator, Directory& directory) const {
        const auto at = number<uint64_t>(locator + 8);
        if (at > locator || locator - at < kEnd64Bytes || number<uint32_t>(at) != kEnd64Signature ||
            number<uint64_t>(at + 4) != locator - at - 12) {
            damaged("its zip64 end-of-directory record is not where its locator says");
        }
        directory = {number<uint64_t>(at + 32), number<uint64_t>(at + 48), number<uint64_t>(at + 40)};
        if (number<uint32_t>(at + 20) != 0 || number<uint64_t>(at + 24) != directory.entries) {
            fail("%s: zip archive: is split over several files, which nib does not read", file());
        }
        return at;
    }

    // Reads the entry at `at` and moves `at` behind it; `end` is the directory's.
    Central read_central(uint64_t& at, uint64_t end) const {
        if (end - at < kCentralBytes || number<uint32_t>(at) != kCentralSignature) damaged("its directory is broken");
        Central entry{};
        entry.flags = number<uint16_t>(at + 8);
        entry.method = number<uint16_t>(at + 10);
        entry.checksum = number<uint32_t>(at + 16);
        entry.compressed = number<uint32_t>(at + 20);
        entry.size = number<uint32_t>(at + 24);
        entry.offset = number<uint32_t>(at + 42);
        const size_t name = number<uint16_t>(at + 28), extra = number<uint16_t>(at + 30),
                     comment = number<uint16_t>(at + 32);
        at += kCentralBytes;
        if (end - at < name + extra + comment) damaged("its directory is broken");
        entry.name = text(at, name);
        read_zip64(entry, at + name, at + name + extra);
        at += name + extra + comment;
        return entry;
    }

    // Takes the 64-bit numbers from the extra field at `at`..`end` where the 32-bit ones are saturated.
    void read_zip64(Central& entry, uint64_t at, uint64_t end) const {
        uint64_t* const numbers[] = {&entry.size, &entry.compressed, &entry.offset};
        const auto saturated = [](const uint64_t* number) { return *number == kSaturated32; };
        if (std::none_of(std::begin(numbers), std::end(numbers), saturated)) return;
        for (; end - at >= 4; at += 4 + number<uint16_t>(at + 2)) {
            const uint64_t size = number<uint16_t>(at + 2);
            if (size > end - at - 4) break;
            if (number<uint16_t>(at) != kZip64Extra) continue;
            uint64_t from = at + 4;
            for (uint64_t* value : numbers) {
                if (!saturated(value)) continue;
                if (at + 4 + size - from < 8) damaged(entry, "its zip64 sizes are missing");
                *value = number<uint64_t>(from);
                from += 8;
            }
            return;
        }
        damaged(entry, "its zip64 sizes are missing");
    }

    // Checks the entry's local header and finds its data, which end before `limit`.
    void place(Central& entry, uint64_t limit) const {
        if ((entry.flags & kEncrypted) != 0) {
            fail("%s: zip entry `%s`: is encrypted, which nib does not read", file(), printable(entry.name).c_str());
        }
        if (entry.method == 0 && entry.compressed != entry.size)
            damaged(entry, "has two sizes though it is not compressed");
        if (entry.offset > limit || limit - entry.offset < kLocalBytes ||
            number<uint32_t>(entry.offset) != kLocalSignature) {
            damaged(entry, "is not where the directory says");
        }
        const size_t name = number<uint16_t>(entry.offset + 26), extra = number<uint16_t>(entry.offset + 28);
        const uint64_t room = limit - entry.offset - kLocalBytes;
        if (room < name + extra || entry.compressed > room - name - extra)
            damaged(entry, "lies beyond the end of the file");
        const bool descriptor = (entry.flags & kDescriptor) != 0;
        const auto agrees = [&](uint64_t at, uint64_t expected) {
            const auto local = number<uint32_t>(entry.offset + at);
            return local == expected || (descriptor && local == 0) || (at != 14 && local == kSaturated32);
        };
        const bool same = text(entry.offset + kLocalBytes, name) == entry.name &&
                          number<uint16_t>(entry.offset + 6) == entry.flags &&
                          number<uint16_t>(entry.offset + 8) == entry.method && agrees(14, entry.checksum) &&
                          agrees(18, entry.compressed) && agrees(22, entry.size);
        if (!same) damaged(entry, "the directory and the entry's own header contradict each other");
        const uint64_t begin = entry.offset + kLocalBytes + name + extra;
        entry.data = bytes_.subspan(static_cast<size_t>(begin), static_cast<size_t>(entry.compressed));
        entry.end = begin + entry.compressed;
    }

    void check_no_overlap(const std::vector<Central>& entries) const {
        std::vector<const Central*> order;
        for (const Central& entry : entries) order.push_back(&entry);
        std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
        for (size_t i = 1; i < order.size(); ++i) {
            if (order[i - 1]->end > order[i]->offset) damaged(*order[i], "overlaps another entry");
        }
    }

    std::span<const std::byte> bytes_;
    std::string file_;
};

}  // namespace

ZipArchive ZipArchive::parse(std::span<const std::byte> bytes, const std::string& file) {
    ZipArchive archive;
    Reader reader(bytes, file);
    for (const Central& entry : reader.read()) archive.entries_.push_back({entry.name, entry.data, entry.method});
    const auto& entries = archive.entries_;
    auto& order = archive.by_name_;
    order.resize(entries.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return entries[a].name < entries[b].name; });
    const auto same = std::adjacent_find(order.begin(), order.end(),
                                         [&](size_t a, size_t b) { return entries[a].name == entries[b].name; });
    if (same != order.end()) {
        fail("%s: zip entry `%s` is there twice", reader.file(), printable(entries[*same].name).c_str());
    }
    return archive;
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
    const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                        [&](size_t i, std::string_view key) { return entries_[i].name < key; });
    return found != by_name_.end() && entries_[*found].name == name ? &entries_[*found] : nullptr;
}

}  // namespace nib

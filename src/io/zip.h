// Zip archives as torch.save writes them: entries stored without compression and used in place. Checksums are ignored, as
// PyTorch does. The format: APPNOTE.TXT of PKWARE.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

struct ZipEntry {
    std::string_view name;
    std::span<const std::byte> data;
    unsigned method;  // of compression; 0: none
};

class ZipArchive {
public:
    /// Reads the directory of an archive in memory, which must outlive the result. Error, naming `file` and the entry, when
    /// it is damaged or an entry is encrypted.
    static ZipArchive parse(std::span<const std::byte> bytes, const std::string& file);

    const std::vector<ZipEntry>& entries() const { return entries_; }  // in the directory's order
    const ZipEntry* find(std::string_view name) const;                 // nullptr when there is none

private:
    std::vector<ZipEntry> entries_;
    std::vector<size_t> by_name_;
};

}  // namespace nib

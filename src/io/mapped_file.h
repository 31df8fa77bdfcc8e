// A file as memory: the whole file mapped read-only, so that weights and texts are used in place and never copied.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace nib {

class MappedFile {
public:
    /// Maps the regular file at `path`. Error when it is missing, unreadable or not a regular file. An empty file is an
    /// empty span. The file must not be shortened while it is mapped (nib itself replaces files, it never rewrites them).
    explicit MappedFile(std::string path);
    ~MappedFile();

    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    /// The file's bytes; they stay where they are when the MappedFile is moved.
    std::span<const std::byte> bytes() const { return bytes_; }
    const std::string& path() const { return path_; }

    /// Releases the memory of a part that has been used; it is read from the file again if needed. Does nothing if `part`
    /// is not of this file.
    void release(std::span<const std::byte> part) const;

private:
    std::string path_;
    std::span<const std::byte> bytes_;
};

}  // namespace nib

#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace nib {
namespace {

// Maps an open file and returns its bytes. `path` is for messages only.
std::span<const std::byte> map_descriptor(int descriptor, const std::string& path) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) fail("%s: cannot read: %s", printable(path).c_str(), std::strerror(errno));
    if (S_ISDIR(status.st_mode)) fail("%s: is a folder, not a file", printable(path).c_str());
    if (!S_ISREG(status.st_mode))
        fail("%s: is not a regular file (a pipe or device cannot be mapped; save it to a file first)",
             printable(path).c_str());
    const auto size = static_cast<uint64_t>(status.st_size);
    if (size == 0) return {};
    if (size > PTRDIFF_MAX) fail("%s: the file is too large for this machine's address space", printable(path).c_str());
    void* data = mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
        const int error = errno;
        fail("%s: cannot map the file: %s%s", printable(path).c_str(), std::strerror(error),
             error == ENOMEM ? "; if there are tens of thousands of files, join them to fewer" : "");
    }
    madvise(data, static_cast<size_t>(size), MADV_HUGEPAGE);  // a hint, which may fail
    return {static_cast<const std::byte*>(data), static_cast<size_t>(size)};
}

}  // namespace

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
    // O_NONBLOCK: opening a named pipe must fail instead of waiting for a writer.
    const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) fail("%s: cannot open: %s", printable(path_).c_str(), std::strerror(errno));
    try {
        bytes_ = map_descriptor(descriptor, path_);
    } catch (...) {
        close(descriptor);
        throw;
    }
    close(descriptor);  // the mapping keeps the file open
}

MappedFile::~MappedFile() {
    if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

void MappedFile::release(std::span<const std::byte> part) const {
    const auto file = reinterpret_cast<uintptr_t>(bytes_.data()), begin = reinterpret_cast<uintptr_t>(part.data());
    if (begin < file || begin - file > bytes_.size() || part.size() > bytes_.size() - (begin - file)) return;
    const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), from = begin / page * page;
    if (!part.empty()) madvise(reinterpret_cast<void*>(from), begin - from + part.size(), MADV_DONTNEED);
}

}  // namespace nib

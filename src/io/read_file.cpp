#include "io/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace nib {

namespace {

bool is_folder(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
}

[[noreturn]] void refuse_folder(const std::string& name) { fail("%s: is a folder, not a file", printable(name).c_str()); }

}  // namespace

int open_to_read(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail("%s: cannot open: %s", printable(path).c_str(), std::strerror(errno));
    if (!is_folder(descriptor)) return descriptor;
    close(descriptor);
    refuse_folder(path);
}

std::string read_file(const std::string& path, size_t limit) {
    const int descriptor = open_to_read(path);
    try {
        std::string text = read_descriptor(descriptor, path, limit);
        close(descriptor);
        return text;
    } catch (...) {
        close(descriptor);
        throw;
    }
}

std::string read_descriptor(int descriptor, const std::string& name, size_t limit) {
    constexpr size_t kPiece = size_t{64} << 10;
    if (is_folder(descriptor)) refuse_folder(name);
    std::string text;
    for (size_t size = 0;;) {
        text.resize(std::min(size + kPiece, limit + 1));
        const ssize_t count = read(descriptor, text.data() + size, text.size() - size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("%s: cannot read: %s", printable(name).c_str(), std::strerror(errno));
        size += static_cast<size_t>(count);
        if (size > limit)
            fail("%s: is too long; at most %s are read", printable(name).c_str(),
                 human_bytes(static_cast<double>(limit)).c_str());
        if (count > 0) continue;
        text.resize(size);
        return text;
    }
}

}  // namespace nib

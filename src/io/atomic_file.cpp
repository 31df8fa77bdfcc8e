#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace nib {
namespace {

constexpr size_t kBufferBytes = size_t{256} << 10;
constexpr size_t kLargestWrite = size_t{1} << 30;  // Linux caps one write(2) just below 2 GiB

void check_destination(const std::string& path) {
    if (path.empty()) fail("cannot write a file: its name is empty");
    struct stat status;
    if (stat(path.c_str(), &status) != 0) return;  // nothing there, or a reason that opening will report
    if (S_ISDIR(status.st_mode)) fail("%s: cannot write: is a folder", printable(path).c_str());
    if (!S_ISREG(status.st_mode)) fail("%s: cannot write: is not a regular file", printable(path).c_str());
}

// Opens or creates `temporary` empty and locked. An advisory lock keeps two runs with the same output apart; file systems
// without locks go without.
int open_locked(const std::string& temporary, const std::string& path) {
    for (;;) {
        const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        const int descriptor = ::open(temporary.c_str(), flags, 0666);
        int error = errno;
        if (descriptor < 0)
            fail("%s: cannot create %s: %s", printable(path).c_str(), printable(temporary).c_str(), std::strerror(error));
        struct stat ours, named;
        bool stale = false;
        if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(descriptor);
            fail("%s: cannot write: another process is writing this file", printable(path).c_str());
        }
        bool good = fstat(descriptor, &ours) == 0;
        // Between open and lock the previous owner may have published (renamed) or removed the file that we hold.
        if (good)
            stale = stat(temporary.c_str(), &named) != 0 || named.st_ino != ours.st_ino || named.st_dev != ours.st_dev;
        if (good && !stale) good = ftruncate(descriptor, 0) == 0;
        error = errno;
        if (good && !stale) return descriptor;
        close(descriptor);
        if (!good)
            fail("%s: cannot write %s: %s", printable(path).c_str(), printable(temporary).c_str(), std::strerror(error));
    }
}

// Makes the entry of `path` in its folder durable. Returns an errno value, 0 when done or when the system has no such
// thing.
int sync_folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return 0;  // a folder that may be written but not read
    const int error = fsync(descriptor) == 0 ? 0 : errno;
    close(descriptor);
    return error == EINVAL || error == ENOTSUP ? 0 : error;
}

}  // namespace

std::string AtomicFile::temporary_name(const std::string& path) { return path + ".tmp"; }

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temporary_(temporary_name(path_)) {
    check_destination(path_);
    buffer_.reserve(kBufferBytes);
    descriptor_ = open_locked(temporary_, path_);
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::write(std::span<const std::byte> bytes) {
    CHECK(descriptor_ >= 0 && !finished_);
    if (buffer_.size() + bytes.size() > kBufferBytes) {
        write_through(buffer_);
        buffer_.clear();
    }
    if (bytes.size() >= kBufferBytes) {
        write_through(bytes);
    } else {
        buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    }
}

void AtomicFile::finish() {
    CHECK(descriptor_ >= 0);
    if (finished_) return;
    write_through(buffer_);
    buffer_ = {};
    if (fsync(descriptor_) != 0) fail_and_discard("cannot write", errno);
    finished_ = true;
}

void AtomicFile::publish() {
    finish();
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_and_discard("cannot rename the finished file", errno);
    close(descriptor_);
    descriptor_ = -1;
    if (const int error = sync_folder_of(path_); error != 0) {
        fail("%s: written, but its folder cannot be synced to the disk: %s", printable(path_).c_str(),
             std::strerror(error));
    }
}

void AtomicFile::write_through(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kLargestWrite));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail_and_discard("cannot write", errno);
        bytes = bytes.subspan(static_cast<size_t>(written));
    }
}

void AtomicFile::fail_and_discard(const char* action, int error) {
    discard();
    fail("%s: %s: %s", printable(path_).c_str(), action, std::strerror(error));
}

void AtomicFile::discard() {
    if (descriptor_ < 0) return;
    unlink(temporary_.c_str());  // before the lock goes with the descriptor
    close(descriptor_);
    descriptor_ = -1;
}

void write_file_atomically(const std::string& path, std::string_view text) {
    AtomicFile file(path);
    file.write(std::as_bytes(std::span(text)));
    file.publish();
}

}  // namespace nib

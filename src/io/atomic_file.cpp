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

// Writes are aligned and of the size of a large page: file systems that can (ext4 since Linux 6.16) then cache the file in
// large pages, from which mapped weights are read some 15 % faster.
constexpr size_t kBufferBytes = size_t{2} << 20;
constexpr size_t kMaxWriteBytes = size_t{1} << 30;  // Linux caps one write(2) just below 2 GiB

void check_destination(const std::string& path) {
    if (path.empty()) fail("cannot write a file: its name is empty");
    struct stat status;
    if (stat(path.c_str(), &status) != 0) return;  // missing, or opening it will report the reason
    if (S_ISDIR(status.st_mode)) fail("%s: cannot write: is a folder", printable(path).c_str());
    if (!S_ISREG(status.st_mode)) fail("%s: cannot write: is not a regular file", printable(path).c_str());
}

// Opens or creates the file `name` and locks it; messages are about `path`. The lock is advisory and keeps two runs from
// writing the same output. File systems without locks do without.
int open_locked(const std::string& name, const std::string& path, const char* taken) {
    for (;;) {
        const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        const int descriptor = ::open(name.c_str(), flags, 0666);
        const int error = errno;
        if (descriptor < 0)
            fail("%s: cannot create %s: %s", printable(path).c_str(), printable(name).c_str(), std::strerror(error));
        if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(descriptor);
            fail("%s: %s", printable(path).c_str(), taken);
        }
        // Between open and lock the previous owner may have renamed or removed the file that we hold.
        struct stat ours, named;
        if (fstat(descriptor, &ours) == 0 && stat(name.c_str(), &named) == 0 && named.st_ino == ours.st_ino &&
            named.st_dev == ours.st_dev)
            return descriptor;
        close(descriptor);
    }
}

// Makes the entry of `path` in its folder durable. Returns an errno value, 0 on success or where folders cannot be synced.
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
    descriptor_ = open_locked(temporary_, path_, "cannot write: another process is writing this file");
    if (ftruncate(descriptor_, 0) != 0) fail_and_discard("cannot write", errno);
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::write(std::span<const std::byte> bytes) {
    CHECK(descriptor_ >= 0 && !finished_);
    while (!bytes.empty()) {
        if (buffer_.empty() && bytes.size() >= kBufferBytes) {
            const size_t whole = bytes.size() / kBufferBytes * kBufferBytes;
            write_through(bytes.first(whole));
            bytes = bytes.subspan(whole);
            continue;
        }
        const size_t count = std::min(bytes.size(), kBufferBytes - buffer_.size());
        buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
        bytes = bytes.subspan(count);
        if (buffer_.size() < kBufferBytes) return;
        write_through(buffer_);
        buffer_.clear();
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
    rename();
    sync_folder();
}

void AtomicFile::publish_pair(AtomicFile& first, AtomicFile& second) {
    first.finish();
    second.finish();
    first.rename();
    second.keep_ = true;
    first.sync_folder();
    second.publish();
}

void AtomicFile::rename() {
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_and_discard("cannot rename the finished file", errno);
    close(descriptor_);
    descriptor_ = -1;
}

void AtomicFile::sync_folder() const {
    if (const int error = sync_folder_of(path_); error != 0) {
        fail("%s: written, but its folder cannot be synced to the disk: %s", printable(path_).c_str(),
             std::strerror(error));
    }
}

void AtomicFile::write_through(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMaxWriteBytes));
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
    if (!keep_) unlink(temporary_.c_str());  // before the lock goes with the descriptor
    close(descriptor_);
    descriptor_ = -1;
}

FileLock::FileLock(std::string name, const std::string& path, const char* taken) : name_(std::move(name)) {
    const int descriptor = open_locked(name_, path, taken);
    struct stat status;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != 0) {
        close(descriptor);  // not ours, so it stays
        fail("%s: is in the way of a lock that nib keeps under this name; move it", printable(name_).c_str());
    }
    descriptor_ = descriptor;
}

FileLock::~FileLock() {
    unlink(name_.c_str());  // before the lock goes with the descriptor
    close(descriptor_);
}

void write_file_atomically(const std::string& path, std::string_view text) {
    AtomicFile file(path);
    file.write(std::as_bytes(std::span(text)));
    file.publish();
}

}  // namespace nib

// Files that appear complete or not at all.
//
// An AtomicFile writes to a temporary name beside its path, syncs it and renames it, so that a reader, a full disk or a
// kill at any instant meets the old file or the new one and nothing between. A leftover of a killed run is replaced by the
// next.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

class AtomicFile {
public:
    /// Creates the temporary file. Error when the folder cannot be written, `path` is there but not a regular file, or
    /// another process is writing the same file right now. Any Error, from here or from the calls below, names the path
    /// and the system's reason, removes the temporary file and leaves an existing file at `path` as it was.
    explicit AtomicFile(std::string path);
    /// Removes the temporary file unless publish() has succeeded.
    ~AtomicFile();

    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Appends `bytes`. Small pieces are gathered, large ones go straight to the system.
    void write(std::span<const std::byte> bytes);

    /// Makes all bytes durable under the temporary name; nothing is visible at path() yet and nothing more can be written.
    /// Files that belong together are all finished before the first is published.
    void finish();

    /// Finishes if needed, then gives the file its name at path(), durably.
    void publish();

    const std::string& path() const { return path_; }

    /// The name under which the file for `path` is written.
    static std::string temporary_name(const std::string& path);

private:
    void write_through(std::span<const std::byte> bytes);
    [[noreturn]] void fail_and_discard(const char* action, int error);
    void discard();

    std::string path_;
    std::string temporary_;
    std::vector<std::byte> buffer_;  // bytes that are not in the file yet
    int descriptor_ = -1;            // open until published or discarded; holds the lock on the temporary file
    bool finished_ = false;
};

/// Writes a whole small text file (a log, an SVG) as an AtomicFile.
void write_file_atomically(const std::string& path, std::string_view text);

}  // namespace nib

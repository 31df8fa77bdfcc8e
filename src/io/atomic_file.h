// Files that appear complete or not at all.
//
// An AtomicFile writes to a temporary name beside its path, syncs it and renames it: readers always find the old file or
// the new one, even after a full disk or a kill. The next run replaces what a killed one left. A FileLock keeps two
// processes from writing the same files.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

class AtomicFile {
public:
    /// Creates the temporary file. Error when the folder cannot be written, `path` exists and is not a regular file, or
    /// another process is writing the same file. Any Error, from here or from the calls below, names the path and the
    /// system's reason, removes the temporary file and leaves an existing file at `path` as it was.
    explicit AtomicFile(std::string path);
    /// Removes the temporary file unless publish() has succeeded.
    ~AtomicFile();

    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Appends `bytes`. Small pieces are buffered.
    void write(std::span<const std::byte> bytes);

    /// Makes all bytes durable under the temporary name; nothing is visible at path() yet and nothing more can be written.
    /// Files that belong together are all finished before the first is published.
    void finish();

    /// Finishes if needed, then gives the file its name at path(), durably.
    void publish();

    /// Publishes two files that belong together, after finishing both. An Error before the first is renamed leaves neither;
    /// after that, the second keeps its complete temporary file, which the reader can rename.
    static void publish_pair(AtomicFile& first, AtomicFile& second);

    const std::string& path() const { return path_; }

    /// The name under which the file for `path` is written.
    static std::string temporary_name(const std::string& path);

private:
    void rename();
    void sync_folder() const;
    void write_through(std::span<const std::byte> bytes);
    [[noreturn]] void fail_and_discard(const char* action, int error);
    void discard();

    std::string path_;
    std::string temporary_;
    std::vector<std::byte> buffer_;  // bytes that are not in the file yet
    int descriptor_ = -1;            // open until published or discarded; holds the lock on the temporary file
    bool finished_ = false;
    bool keep_ = false;  // the temporary file outlives errors
};

/// An empty file whose lock reserves the files beside it for this process; removed at the end. One that a kill leaves
/// behind reserves nothing, since the system has released its lock.
class FileLock {
public:
    /// Locks the file `name`. Error, about `path`, with the text `taken` when another process holds the lock, or with the
    /// system's reason when the file cannot be created.
    FileLock(std::string name, const std::string& path, const char* taken);
    ~FileLock();

    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

private:
    std::string name_;
    int descriptor_ = -1;
};

/// Writes a whole small text file (a log, an SVG) as an AtomicFile.
void write_file_atomically(const std::string& path, std::string_view text);

}  // namespace nib

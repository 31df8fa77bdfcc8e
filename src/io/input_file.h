// A file read from front to back, of any size: a regular file or a pipe, unpacked on the way if it is gzip (RFC 1952).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nib {

class InputFile {
public:
    /// Opens the file at `path`. Error when it is missing, unreadable or a folder. What begins with gzip's two magic bytes
    /// is gzip, whatever its name.
    explicit InputFile(std::string path);
    ~InputFile();

    InputFile(const InputFile&) = delete;
    InputFile& operator=(const InputFile&) = delete;

    /// The next `size` bytes; fewer only at the end. Error, with the byte offset in the packed file, when gzip data is
    /// damaged or cut short.
    size_t read(char* bytes, size_t size);

    const std::string& path() const { return path_; }
    bool is_packed() const { return gzip_ != nullptr; }
    /// How much of the file as it is stored has been read.
    uint64_t bytes_read() const { return bytes_read_; }

private:
    struct Gzip;

    size_t read_stored(char* bytes, size_t size);
    size_t unpack(char* bytes, size_t size);
    bool fill();
    bool at_end();

    std::string path_;
    int descriptor_;
    std::vector<char> buffer_;    // as stored
    size_t begin_ = 0, end_ = 0;  // of what is in it
    uint64_t bytes_read_ = 0;
    std::unique_ptr<Gzip> gzip_;  // null: not packed
};

}  // namespace nib

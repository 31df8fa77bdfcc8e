#include "io/input_file.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "core/error.h"
#include "io/read_file.h"

namespace nib {
namespace {

constexpr size_t kBuffer = size_t{64} << 10;

}  // namespace

struct InputFile::Gzip {
    z_stream stream{};
    bool in_member = true;

    Gzip() {
        constexpr int kOnlyGzip = 16;
        if (inflateInit2(&stream, MAX_WBITS + kOnlyGzip) != Z_OK) throw std::bad_alloc();
    }
    ~Gzip() { inflateEnd(&stream); }
    Gzip(const Gzip&) = delete;
    Gzip& operator=(const Gzip&) = delete;
};

InputFile::InputFile(std::string path) : path_(std::move(path)), descriptor_(open_to_read(path_)), buffer_(kBuffer) {
    try {
        while (end_ < 2 && fill()) {
        }
        if (end_ >= 2 && buffer_[0] == '\x1F' && buffer_[1] == '\x8B') gzip_ = std::make_unique<Gzip>();
    } catch (...) {
        close(descriptor_);
        throw;
    }
}

InputFile::~InputFile() { close(descriptor_); }

// Reads on behind what is in the buffer, which has room; false at the end of the file.
bool InputFile::fill() {
    if (begin_ == end_) begin_ = end_ = 0;
    ssize_t count;
    do {
        count = ::read(descriptor_, buffer_.data() + end_, buffer_.size() - end_);
    } while (count < 0 && errno == EINTR);
    if (count < 0) fail("%s: cannot read: %s", printable(path_).c_str(), std::strerror(errno));
    end_ += static_cast<size_t>(count);
    bytes_read_ += static_cast<uint64_t>(count);
    return count > 0;
}

bool InputFile::at_end() { return begin_ == end_ && !fill(); }

size_t InputFile::read(char* bytes, size_t size) {
    size_t done = 0;
    while (done < size) {
        const size_t count = gzip_ ? unpack(bytes + done, size - done) : read_stored(bytes + done, size - done);
        if (count == 0) break;
        done += count;
    }
    return done;
}

size_t InputFile::read_stored(char* bytes, size_t size) {
    if (at_end()) return 0;
    const size_t count = std::min(size, end_ - begin_);
    std::memcpy(bytes, buffer_.data() + begin_, count);
    begin_ += count;
    return count;
}

// At least one byte, unless there are no more. A file may be several packed ones, one after the other, and be filled up
// with zeros.
size_t InputFile::unpack(char* bytes, size_t size) {
    z_stream& stream = gzip_->stream;
    const auto offset = [&] { return static_cast<unsigned long long>(bytes_read_ - (end_ - begin_)); };
    stream.next_out = reinterpret_cast<Bytef*>(bytes);
    stream.avail_out = static_cast<uInt>(std::min(size, kBuffer));
    const uInt room = stream.avail_out;
    while (stream.avail_out == room) {
        while (!gzip_->in_member && !at_end() && buffer_[begin_] == 0) ++begin_;
        if (at_end()) {
            if (!gzip_->in_member) return 0;
            fail("%s: the gzip data is cut short at byte offset %llu", printable(path_).c_str(), offset());
        }
        if (!gzip_->in_member) {
            inflateReset(&stream);
            gzip_->in_member = true;
        }
        stream.next_in = reinterpret_cast<Bytef*>(buffer_.data() + begin_);
        stream.avail_in = static_cast<uInt>(end_ - begin_);
        const int result = inflate(&stream, Z_NO_FLUSH);
        begin_ = end_ - stream.avail_in;
        if (result == Z_MEM_ERROR) throw std::bad_alloc();
        if (result == Z_STREAM_END) {
            gzip_->in_member = false;
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            fail("%s: the gzip data is damaged before byte offset %llu (%s)", printable(path_).c_str(), offset(),
                 stream.msg != nullptr ? stream.msg : "unknown reason");
        }
    }
    return room - stream.avail_out;
}

}  // namespace nib

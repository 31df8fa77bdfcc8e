// Tests of what reads files: a folder for them, gzip, messages without the folder's name.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib::test {

inline std::string gzip(std::string_view text) {
    z_stream stream{};
    CHECK(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string packed(deflateBound(&stream, text.size()) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

class ReaderTest : public testing::Test {
protected:
    std::string file(const std::string& name, std::string_view bytes) {
        write_file(folder_ / name, bytes);
        return (folder_ / name).string();
    }
    // The text without the folder, wherever it is in it.
    std::string without_folder(std::string text) const {
        const std::string prefix = folder_.path().string() + "/";
        for (size_t at; (at = text.find(prefix)) != std::string::npos;) text.erase(at, prefix.size());
        return text;
    }
    // The message of the Error that `action` throws.
    template <class Action>
    std::string error_in(Action&& action) const {
        return without_folder(error_of(std::forward<Action>(action)));
    }

    TempFolder folder_;
};

}  // namespace nib::test

#include "text/text_key.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "core/error.h"
#include "text/text_files.h"
#include "text/tokenizer_export.h"

namespace nib {

namespace fs = std::filesystem;

namespace {

// Changes whenever the same texts become other tokens, or are kept in another form.
constexpr uint64_t kVersion = 2;

}  // namespace

TextKey::TextKey(std::string_view kind) {
    add(kVersion);
    add(kind);
}

void TextKey::add(std::string_view text) {
    std::string words(text);
    words.resize((words.size() + 3) / 4 * 4);
    hash_.add(std::as_bytes(std::span(words)));
    add(uint64_t{text.size()});
}

void TextKey::add_file(const std::string& path) {
    constexpr uint64_t kPiece = 4096, kPieces = 16;
    require_regular(path);
    std::ifstream file(path, std::ios::binary);
    if (!file) fail("%s: cannot open: %s", printable(path).c_str(), std::strerror(errno));
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    if (error) fail("%s: cannot read: %s", printable(path).c_str(), error.message().c_str());
    add(size);
    add(static_cast<uint64_t>(fs::last_write_time(path, error).time_since_epoch().count()));
    const uint64_t pieces = std::min(kPieces, (size + kPiece - 1) / kPiece), last = size - std::min(size, kPiece);
    std::string piece(std::min(size, kPiece), '\0');
    for (uint64_t i = 0; i < pieces; ++i) {
        file.seekg(static_cast<std::streamoff>(i == 0 ? 0 : last * i / (pieces - 1)));
        if (!file.read(piece.data(), static_cast<std::streamsize>(piece.size())))
            fail("%s: cannot read: it has become shorter", printable(path).c_str());
        add(piece);
    }
}

void TextKey::add(const Tokenizer& tokenizer) {
    constexpr int64_t kAnyContext = 0;
    for (const auto& [name, text] : tokenizer_files(tokenizer, kAnyContext)) add(text);
}

std::string TextKey::token_file(const std::string& folder) const {
    return (fs::path(folder) / strprintf("nib-%016llx.tokens", static_cast<unsigned long long>(value()))).string();
}

}  // namespace nib

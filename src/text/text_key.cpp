#include "text/text_key.h"

#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "io/input_file.h"
#include "text/tokenizer_export.h"

namespace nib {

namespace fs = std::filesystem;

void TextKey::add(std::string_view text) {
    std::string words(text);
    words.resize((words.size() + 3) / 4 * 4);
    hash_.add(std::as_bytes(std::span(words)));
    add(uint64_t{text.size()});
}

void TextKey::add_file(const std::string& path) {
    std::error_code error;
    add(uint64_t{fs::file_size(path, error)});
    const auto time = fs::last_write_time(path, error);
    add(static_cast<uint64_t>(time.time_since_epoch().count()));
    std::string begin(4096, '\0');
    InputFile file(path);
    begin.resize(file.read(begin.data(), begin.size()));
    add(begin);
}

void TextKey::add(const Tokenizer& tokenizer) {
    constexpr int64_t kAnyContext = 0;
    for (const auto& [name, text] : tokenizer_files(tokenizer, kAnyContext)) add(text);
}

std::string TextKey::token_file(const std::string& folder) const {
    return (fs::path(folder) / strprintf("nib-%016llx.tokens", static_cast<unsigned long long>(value()))).string();
}

}  // namespace nib

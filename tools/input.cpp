#include "input.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "io/mapped_file.h"

namespace nib {
namespace {

std::string read_stdin() {
    std::string text;
    char piece[1 << 16];
    for (ssize_t n; (n = read(STDIN_FILENO, piece, sizeof piece)) != 0;) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("standard input cannot be read: %s", std::strerror(errno));
        text.append(piece, static_cast<size_t>(n));
    }
    return text;
}

}  // namespace

bool stdin_has_text() {
    struct stat info {};
    return fstat(STDIN_FILENO, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode));
}

std::string read_input(const std::string& path) {
    if (path == "-") return read_stdin();
    const MappedFile file(path);
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void add_special_option(CLI::App& app, EncodeOptions& options) {
    app.add_flag_callback(
        "--no-special", [&options] { options.special = false; },
        "marks such as <|endoftext|> in a text are text like any other, which is safer for texts from strangers (default: "
        "they are the model's special tokens, as in Hugging Face's tokenizers)");
}

}  // namespace nib

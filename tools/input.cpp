#include "input.h"

#include <sys/stat.h>
#include <unistd.h>

#include "io/read_file.h"

namespace nib {
bool stdin_has_text() {
    struct stat info {};
    return fstat(STDIN_FILENO, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode));
}

std::string read_input(const std::string& path, size_t limit) {
    return path == "-" ? read_descriptor(STDIN_FILENO, "standard input", limit) : read_file(path, limit);
}

void add_special_option(CLI::App& app, EncodeOptions& options) {
    app.add_flag_callback(
        "--no-special", [&options] { options.special = false; },
        "marks such as <|endoftext|> in a text are text like any other, which is safer for texts from strangers (default: "
        "they are the model's special tokens, as in Hugging Face's tokenizers)");
}

}  // namespace nib

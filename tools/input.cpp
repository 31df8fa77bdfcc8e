#include "input.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "interrupt.h"
#include "io/read_file.h"
#include "text/text_encoding.h"

namespace nib {

bool stdin_has_text() {
    struct stat info {};
    return fstat(STDIN_FILENO, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode));
}

std::string read_input(const std::string& path, size_t limit) {
    const std::string name = path == "-" ? "standard input" : path;
    std::string text = path == "-" ? read_descriptor(STDIN_FILENO, name, limit) : read_file(path, limit);
    text.erase(0, text.size() - without_mark(text, name).size());
    return text;
}

bool read_some(std::string& bytes) {
    char buffer[4096];
    while (wait_to_read(STDIN_FILENO)) {
        const ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (count < 0) fail("standard input cannot be read: %s", std::strerror(errno));
        bytes.append(buffer, static_cast<size_t>(count));
        return true;
    }
    return false;
}

void drop_mark(std::string& text) {
    if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
}

void drop_line_end(std::string& text) {
    if (text.ends_with('\n')) text.pop_back();
    if (text.ends_with('\r')) text.pop_back();
}

CLI::Option* add_end_token_option(CLI::App& app, std::optional<std::string>& token) {
    return app
        .add_option("--end-token", token,
                    "the text of the token that ends a text, and begins one if no other does: `.` or `<.>` in makemore's "
                    "lists; \"\": none (default: the one that the model names)")
        ->type_name("TEXT");
}

void add_special_option(CLI::App& app, EncodeOptions& options) {
    app.add_flag_callback(
        "--no-special", [&options] { options.special = false; },
        "marks such as <|endoftext|> in a text are text like any other, which is safer for texts from strangers (default: "
        "they are the model's special tokens, as in Hugging Face's tokenizers)");
}

}  // namespace nib

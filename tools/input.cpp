#include "input.h"

#include <sys/stat.h>
#include <unistd.h>

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

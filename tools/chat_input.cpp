#include "chat_input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "core/error.h"
#include "input.h"
#include "interrupt.h"

namespace nib {
namespace {

using Kind = ChatTurn::Kind;

constexpr size_t kLongest = size_t{16} << 20;
constexpr std::string_view kQuotes = "\"\"\"";

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t") == std::string_view::npos; }

void check_length(const std::string& text) {
    if (text.size() > kLongest) fail("a message is longer than 16 MiB");
}

}  // namespace

// Adds what comes next to the buffer, nothing at the end; false if Ctrl-C came first.
bool ChatInput::fill() {
    char bytes[4096];
    for (;;) {
        pollfd input = {STDIN_FILENO, POLLIN, 0};
        if (poll(&input, 1, -1) < 0) {
            if (errno != EINTR) break;
            if (interrupt_noted()) return false;
            continue;
        }
        const ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (count < 0) break;
        ended_ = count == 0;
        buffer_.append(bytes, static_cast<size_t>(count));
        return true;
    }
    fail("standard input cannot be read: %s", std::strerror(errno));
}

// A line without its end.
Kind ChatInput::read_line(const char* prompt, std::string& line) {
    forget_interrupt();
    if (terminal_) std::fputs(prompt, stderr);
    size_t end = 0;
    for (size_t searched = 0; (end = buffer_.find('\n', searched)) == std::string::npos;) {
        searched = buffer_.size();
        check_length(buffer_);
        if (ended_ && buffer_.empty()) return Kind::End;
        if (ended_) break;
        if (!fill()) {
            buffer_.clear();
            return Kind::Interrupted;
        }
    }
    line = buffer_.substr(0, end);
    buffer_.erase(0, end == std::string::npos ? end : end + 1);
    if (line.ends_with('\r')) line.pop_back();
    if (!begun_) drop_mark(line);
    begun_ = true;
    return Kind::Text;
}

// Goes on with a text after its """.
Kind ChatInput::read_block(std::string& text) {
    size_t end = 0;
    for (std::string line; (end = text.find(kQuotes)) == std::string::npos; text += "\n" + line) {
        check_length(text);
        const Kind kind = read_line("... ", line);
        if (kind == Kind::End) fail("the input ends within a text that \"\"\" begins");
        if (kind == Kind::Interrupted) return kind;
    }
    if (!is_blank(std::string_view(text).substr(end + kQuotes.size())))
        fail("there is more on the line after the \"\"\" that ends a text");
    text.erase(end);
    if (text.starts_with('\n')) text.erase(0, 1);
    drop_line_end(text);
    return Kind::Text;
}

// Goes on with a line that ends with a backslash.
Kind ChatInput::read_continued(std::string& text) {
    for (std::string line; text.ends_with('\\'); text += line) {
        check_length(text);
        text.back() = '\n';
        const Kind kind = read_line("... ", line);
        if (kind == Kind::End) fail("the input ends after a line that ends with a backslash");
        if (kind == Kind::Interrupted) return kind;
    }
    return Kind::Text;
}

ChatTurn ChatInput::next() {
    ChatTurn turn;
    do {
        turn.kind = read_line("> ", turn.text);
        if (turn.kind != Kind::Text) return turn;
    } while (is_blank(turn.text));
    if (turn.text.starts_with(kQuotes)) {
        turn.text.erase(0, kQuotes.size());
        turn.kind = read_block(turn.text);
        return turn;
    }
    if (turn.text.starts_with('/')) {
        turn.text.erase(0, 1);
        if (!turn.text.starts_with('/')) turn.kind = Kind::Command;
    }
    if (turn.kind == Kind::Text) turn.kind = read_continued(turn.text);
    return turn;
}

}  // namespace nib

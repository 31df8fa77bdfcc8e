#include "chat_input.h"

#include <cstdio>
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

Kind ChatInput::edit_line(const char* prompt, std::string& line) {
    switch (editor_->read(prompt, line)) {
        case LineEditor::Result::Line: return Kind::Text;
        case LineEditor::Result::Dropped: return Kind::Dropped;
        case LineEditor::Result::Interrupted: return Kind::Interrupted;
        case LineEditor::Result::End: break;
    }
    return Kind::End;
}

// A line without its end.
Kind ChatInput::read_line(const char* prompt, std::string& line) {
    forget_interrupt();
    if (editor_) return edit_line(prompt, line);
    if (terminal_) std::fputs(prompt, stderr);
    size_t end = 0;
    for (size_t searched = 0; (end = buffer_.find('\n', searched)) == std::string::npos;) {
        searched = buffer_.size();
        check_length(buffer_);
        if (ended_ && buffer_.empty()) return Kind::End;
        if (ended_) break;
        if (!read_some(buffer_)) {
            buffer_.clear();
            return Kind::Interrupted;
        }
        ended_ = buffer_.size() == searched;
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
    size_t end = 0, searched = 0;
    for (std::string line; (end = text.find(kQuotes, searched)) == std::string::npos; text += "\n" + line) {
        check_length(text);
        searched = text.size();  // a line end follows, which is none of the quotes
        const Kind kind = read_line("... ", line);
        if (kind == Kind::End) fail("the input ends within a text that \"\"\" begins");
        if (kind != Kind::Text) return Kind::Dropped;
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
        if (kind != Kind::Text) return Kind::Dropped;
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

// What the user of a chat types, or what a pipe brings.
#pragma once

#include <memory>
#include <string>

#include "line_editor.h"

namespace nib {

struct ChatTurn {
    enum class Kind {
        Text,
        Command,      // begins with "/"
        Dropped,      // by Ctrl-C while it was typed
        Interrupted,  // by Ctrl-C where nothing was typed, as far as is known
        End,          // of the input
    };
    Kind kind = Kind::End;
    std::string text;  // of a command without the "/"
};

/// Turns are lines of standard input that are not blank. A line that ends with a backslash goes on in the next one; lines
/// from """ on belong together up to the next """. A line that begins with "/" is a command, "//" is a "/" in a text.
class ChatInput {
public:
    /// On a terminal prompts are shown, on standard error, and lines can be edited if this machine has what that takes.
    explicit ChatInput(bool terminal) : terminal_(terminal), editor_(terminal ? LineEditor::open() : nullptr) {}

    /// Whether lines can be edited.
    bool edits() const { return editor_ != nullptr; }
    /// Waits for the next turn. Error when the input ends within one, a turn is longer than 16 MiB or it cannot be read.
    ChatTurn next();

private:
    ChatTurn::Kind read_line(const char* prompt, std::string& line);
    ChatTurn::Kind edit_line(const char* prompt, std::string& line);
    ChatTurn::Kind read_block(std::string& text);
    ChatTurn::Kind read_continued(std::string& text);

    const bool terminal_;
    const std::unique_ptr<LineEditor> editor_;
    bool begun_ = false;  // the first line was read
    bool ended_ = false;
    std::string buffer_;  // read, but not taken yet
};

}  // namespace nib

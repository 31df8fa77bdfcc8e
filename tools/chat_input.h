// What the user of a chat types, or what a pipe brings.
#pragma once

#include <string>

namespace nib {

struct ChatTurn {
    enum class Kind {
        Text,
        Command,      // begins with "/"
        Interrupted,  // by Ctrl-C: what was typed is gone
        End,          // of the input
    };
    Kind kind = Kind::End;
    std::string text;  // of a command without the "/"
};

/// Turns are lines of standard input that are not blank. A line that ends with a backslash goes on in the next one; lines
/// from """ on belong together up to the next """. A line that begins with "/" is a command, "//" is a "/" in a text.
class ChatInput {
public:
    /// On a terminal prompts are shown, on standard error.
    explicit ChatInput(bool terminal) : terminal_(terminal) {}

    /// Waits for the next turn. Error when the input ends within one, a turn is longer than 16 MiB or it cannot be read.
    ChatTurn next();

private:
    ChatTurn::Kind read_line(const char* prompt, std::string& line);
    ChatTurn::Kind read_block(std::string& text);
    ChatTurn::Kind read_continued(std::string& text);
    bool fill();

    bool terminal_;
    bool begun_ = false;  // the first line was read
    bool ended_ = false;
    std::string buffer_;  // read, but not taken yet
};

}  // namespace nib

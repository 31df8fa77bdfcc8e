// Lines that are typed on a terminal and edited there before they are read.
#pragma once

#include <memory>
#include <string>

namespace nib {

/// By libedit: Emacs' keys, arrows, and a history of what was typed before. Characters are those of UTF-8 whatever the
/// locale is; malformed ones become U+FFFD.
class LineEditor {
public:
    /// On standard input, with the prompt on standard error. Null if they are no terminals, if the terminal has no cursor
    /// that could be moved (TERM is "dumb" or not set), or if this machine has no libedit.
    static std::unique_ptr<LineEditor> open();
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    enum class Result {
        Line,
        Dropped,      // by Ctrl-C or SIGINT (interrupt.h)
        Interrupted,  // the same, but the line was empty
        End,          // Ctrl-D on an empty line, or the terminal is gone
    };
    /// Reads a line, without its end. Error when the terminal cannot be read.
    Result read(const char* prompt, std::string& line);

private:
    struct State;
    explicit LineEditor(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace nib

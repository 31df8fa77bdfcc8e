// Two answers to one message, side by side on a terminal while they are written.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

struct TerminalSize {
    size_t columns, rows;
};

/// That of the terminal which is standard output. Nothing where it is none, where its cursor cannot be moved or where it is
/// too narrow for two columns.
std::optional<TerminalSize> room_for_columns();

/// While the answers are longer than the screen, their newest lines are shown; finish() shows all.
class AnswerColumns {
public:
    AnswerColumns(std::array<std::string, 2> names, TerminalSize size);
    /// Adds to an answer. Error when the terminal cannot be written.
    void push(size_t answer, std::string_view piece);
    /// The cursor stands below the answers then.
    void finish();

private:
    std::vector<std::string> lines(size_t answer) const;
    std::vector<std::string> rows() const;
    void show(const std::vector<std::string>& rows);

    const std::array<std::string, 2> names_;
    const size_t width_;  // of each answer
    const size_t most_;   // rows that the screen has room for
    std::array<std::string, 2> texts_;
    size_t newest_ = 0;  // the answer that is being written
    std::vector<std::string> shown_;
};

}  // namespace nib

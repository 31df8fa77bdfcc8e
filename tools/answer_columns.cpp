#include "answer_columns.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "console.h"
#include "core/error.h"
#include "text/columns.h"

namespace nib {
namespace {

constexpr size_t kLeastColumns = 80;

}  // namespace

std::optional<TerminalSize> room_for_columns() {
    const char* const name = std::getenv("TERM");
    winsize window = {};
    if (isatty(STDOUT_FILENO) != 1 || name == nullptr || *name == '\0' || name == std::string_view("dumb") ||
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col < kLeastColumns || window.ws_row == 0)
        return std::nullopt;
    return TerminalSize{window.ws_col, window.ws_row};
}

// The last column stays free: a terminal may go to the next line after it.
AnswerColumns::AnswerColumns(std::array<std::string, 2> names, TerminalSize size)
    : names_(std::move(names)),
      width_((size.columns - kRuleWidth - 1) / 2),
      most_(std::max<size_t>(size.rows, 2) - 1),
      texts_{} {}

void AnswerColumns::push(size_t answer, std::string_view piece) {
    texts_[answer] += piece;
    newest_ = answer;
    std::vector<std::string> all = rows();
    if (all.size() > most_) {
        // Those up to the end of what is being written.
        const size_t end = std::max(lines(newest_).size(), most_);
        all.erase(all.begin() + static_cast<std::ptrdiff_t>(std::min(end, all.size())), all.end());
        all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(most_));
    }
    show(all);
}

void AnswerColumns::finish() {
    show(rows());
    print("\n");
    shown_.clear();
}

// The name and the answer below it.
std::vector<std::string> AnswerColumns::lines(size_t answer) const {
    std::vector<std::string> all = wrapped_lines(names_[answer] + ":", width_);
    for (std::string& line : wrapped_lines(texts_[answer], width_)) all.push_back(std::move(line));
    return all;
}

std::vector<std::string> AnswerColumns::rows() const { return side_by_side(lines(0), lines(1), width_); }

// Writes the rows over those that are shown, from the first on that differs.
void AnswerColumns::show(const std::vector<std::string>& rows) {
    const auto same =
        static_cast<size_t>(std::mismatch(shown_.begin(), shown_.end(), rows.begin(), rows.end()).first - shown_.begin());
    if (same == rows.size() && same == shown_.size()) return;
    std::string text = "\r";
    // The cursor is in the last of the shown rows.
    const size_t first = shown_.empty() ? 0 : std::min({same, shown_.size() - 1, rows.size() - 1});
    if (first + 1 < shown_.size()) text += strprintf("\x1b[%zuA", shown_.size() - 1 - first);
    for (size_t i = first; i < rows.size(); ++i) text += (i > first ? "\r\n" : "") + rows[i] + "\x1b[K";
    if (rows.size() < shown_.size()) text += "\x1b[J";
    print(text);
    shown_ = rows;
}

}  // namespace nib

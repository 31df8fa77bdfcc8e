#include "text/columns.h"

#include <algorithm>

#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

// What the user sees as one character.
struct Cluster {
    std::string_view text;
    char32_t first;
    size_t width;
};

Cluster cluster_at(std::string_view text, size_t at) {
    const std::string_view part = text.substr(at, grapheme_end(text, at) - at);
    return {part, decode_utf8(part, 0).code, display_width(part)};
}

// Chinese, Japanese and Korean need no blank between two words, but no line begins with a full stop.
bool may_break(const Cluster& before, const Cluster& after) {
    return std::max(before.width, after.width) > 1 && !is_punctuation(after.first);
}

class Lines {
public:
    explicit Lines(size_t width) : width_(std::max<size_t>(width, 1)) {}

    void add(std::string_view text) {
        for (size_t at = 0; at < text.size();) {
            const Cluster next = cluster_at(text, at);
            at += next.text.size();
            if (next.text.ends_with('\n')) {
                end_word(), end_line();
            } else if (next.text == " " || next.text == "\t") {
                end_word();
                ++blanks_;
            } else if (next.first != '\r' && !is_control(next.first)) {
                if (!word_.empty() && may_break(word_.back(), next)) end_word();
                word_.push_back(next);
            }
        }
        end_word(), end_line();
    }
    std::vector<std::string> take() { return std::move(lines_); }

private:
    void end_word() {
        if (word_.empty()) return;
        size_t length = 0;
        for (const Cluster& cluster : word_) length += cluster.width;
        if (used_ + blanks_ + length > width_ && used_ > 0) end_line();
        blanks_ = std::min(blanks_, width_ - 1);
        line_.append(blanks_, ' ');
        used_ += blanks_;
        for (const Cluster& cluster : word_) {
            if (used_ + cluster.width > width_ && used_ > 0) end_line();
            line_ += cluster.text;
            used_ += cluster.width;
        }
        word_.clear();
        blanks_ = 0;
    }
    void end_line() {
        lines_.push_back(std::move(line_));
        line_.clear();
        used_ = blanks_ = 0;
    }

    const size_t width_;
    std::vector<std::string> lines_;
    std::string line_;
    size_t used_ = 0;            // columns of the line
    size_t blanks_ = 0;          // before the word
    std::vector<Cluster> word_;  // not in the line yet
};

}  // namespace

std::vector<std::string> wrapped_lines(std::string_view text, size_t width) {
    Lines lines(width);
    lines.add(text);
    return lines.take();
}

std::vector<std::string> side_by_side(std::span<const std::string> left, std::span<const std::string> right, size_t width) {
    std::vector<std::string> rows;
    for (size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
        std::string row = i < left.size() ? left[i] : "";
        row.append(width - std::min(width, display_width(row)), ' ');
        row += " │";
        if (i < right.size() && !right[i].empty()) row += " " + right[i];
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace nib

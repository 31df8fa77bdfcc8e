#include "train/text_plot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/error.h"
#include "text/utf8.h"
#include "train/axis.h"

namespace nib {
namespace {

constexpr int kDotsX = 2, kDotsY = 4;              // of a character
constexpr int kLeastColumns = 20, kLeastRows = 5;  // of a diagram
constexpr int kRowsPerLabel = 3, kColumnsPerLabel = 14;

std::string padded(const std::string& text, int columns, bool right = false) {
    const std::string blanks(static_cast<size_t>(std::max(0, columns - static_cast<int>(text.size()))), ' ');
    return right ? blanks + text : text + blanks;
}

// The inside of a diagram.
class Canvas {
public:
    Canvas(int columns, int rows) : columns_(columns), cells_(static_cast<size_t>(columns * rows)) {}

    void dot(int x, int y, int color) {
        constexpr uint8_t kBits[kDotsY][kDotsX] = {
            {0x01, 0x08},
            {0x02, 0x10},
            {0x04, 0x20},
            {0x40, 0x80}
        };
        if (!inside(x, y)) return;
        Cell& cell = at(x / kDotsX, y / kDotsY);
        cell.dots |= kBits[y % kDotsY][x % kDotsX];
        cell.color = color;
    }
    // From one dot to another.
    void line(int x0, int y0, int x1, int y1, int color) {
        const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
        for (int i = 0; i <= steps; ++i) {
            const auto along = [&](int from, int to) {
                return from + static_cast<int>(std::lround(static_cast<double>(to - from) * i / steps));
            };
            dot(along(x0, x1), along(y0, y1), color);
        }
    }
    void character(int x, int y, const std::string& character, int color) {
        if (inside(x, y)) at(x / kDotsX, y / kDotsY) = {0, color, character};
    }

    std::string row(int y, bool colors) {
        std::string text;
        for (int x = 0; x < columns_; ++x) {
            const Cell& cell = at(x, y);
            std::string shown = cell.character;
            if (shown.empty() && cell.dots == 0) shown = " ";
            if (shown.empty()) append_utf8(shown, 0x2800u + cell.dots);
            text += colors ? colored(shown, cell.color) : shown;
        }
        return text;
    }

private:
    struct Cell {
        uint8_t dots = 0;
        int color = 0;
        std::string character{};
    };
    // Curves may go on beyond the range that a diagram shows.
    bool inside(int x, int y) const {
        return x >= 0 && y >= 0 && x / kDotsX < columns_ && static_cast<size_t>(y / kDotsY * columns_) < cells_.size();
    }
    Cell& at(int x, int y) { return cells_[static_cast<size_t>(y * columns_ + x)]; }

    int columns_;
    std::vector<Cell> cells_;
};

Axis values_of(const TextPlot& plot) {
    Axis y{std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest()};
    for (const TextCurve& curve : plot.curves)
        for (const auto& point : curve.points) y.low = std::min(y.low, point.y), y.high = std::max(y.high, point.y);
    if (y.low > y.high) y.low = 0, y.high = 1;
    // A constant has some room above and below.
    const double least = std::max(std::abs(y.high), std::abs(y.low)) * 1e-6;
    if (y.high - y.low <= least) {
        const double room = y.high == 0 ? 1 : std::abs(y.high) * 0.1;
        y.low -= room, y.high += room;
    }
    return y;
}

// Points that fall on one dot's column, or for characters one character's, as one.
void draw_curve(Canvas& canvas, const TextCurve& curve, const Axis& x, const Axis& y) {
    const bool dots = curve.character.empty();
    const auto place = [&](const TextCurve::Point& p) {
        const int at = static_cast<int>(std::lround(x.at(p.x)));
        return dots ? at : at / kDotsX * kDotsX;
    };
    std::optional<std::pair<int, int>> last;
    for (size_t i = 0; i < curve.points.size();) {
        const int column = place(curve.points[i]);
        double sum = 0, count = 0;
        for (; i < curve.points.size() && place(curve.points[i]) == column; ++i) sum += curve.points[i].y, ++count;
        const int row = static_cast<int>(std::lround(y.at(sum / count)));
        if (!dots)
            canvas.character(column, row, curve.character, curve.color);
        else if (last)
            canvas.line(last->first, last->second, column, row, curve.color);
        else
            canvas.dot(column, row, curve.color);
        last = {column, row};
    }
}

// The labels of the x axis, each centred below its place.
std::string x_labels(const Axis& x, int columns) {
    std::string text(static_cast<size_t>(columns), ' ');
    size_t free = 0;
    for (const double tick : x.ticks(std::max(2, columns / kColumnsPerLabel), 1)) {
        const std::string label = strprintf("%.10g", tick);
        const double begin = std::lround(x.at(tick)) / kDotsX - static_cast<int>(label.size() / 2);
        const auto at =
            static_cast<size_t>(std::clamp(begin, 0.0, std::max(0.0, columns - static_cast<double>(label.size()))));
        if (at < free || at + label.size() > text.size()) continue;
        text.replace(at, label.size(), label);
        free = at + label.size() + 1;
    }
    return text;
}

}  // namespace

std::string colored(const std::string& text, int color) {
    constexpr const char* kCodes[] = {"0", "36", "33", "35", "32", "34", "31"};  // cyan, yellow, magenta, green, blue, red
    if (color == 0 || text == " ") return text;
    return strprintf("\x1b[%sm", kCodes[color]) + text + "\x1b[0m";
}

std::vector<std::string> draw(const TextPlot& plot) {
    const int columns = std::max(plot.columns, kLeastColumns), rows = std::max(plot.rows, kLeastRows) - 2;
    Axis y = values_of(plot), x{plot.x_low, std::max(plot.x_high, plot.x_low + 1)};
    y.from = rows * kDotsY - 1, y.to = 0;
    std::vector<std::string> labels(static_cast<size_t>(rows));
    int wide = 0;
    for (const double tick : y.ticks(std::max(3, rows / kRowsPerLabel), 0)) {
        std::string& label = labels[static_cast<size_t>(std::lround(y.at(tick)) / kDotsY)];
        label = strprintf("%.6g", tick);
        wide = std::max(wide, static_cast<int>(label.size()));
    }
    const int inside = columns - wide - 1;
    x.to = inside * kDotsX - 1;
    Canvas canvas(inside, rows);
    for (const TextCurve& curve : plot.curves) draw_curve(canvas, curve, x, y);

    std::vector<std::string> lines = {padded(std::string(static_cast<size_t>(wide) + 1, ' ') + plot.title, columns)};
    lines[0].resize(static_cast<size_t>(columns));
    for (int row = 0; row < rows; ++row) {
        const std::string& label = labels[static_cast<size_t>(row)];
        lines.push_back(padded(label, wide, true) + (label.empty() ? "│" : "┤") + canvas.row(row, plot.colors));
    }
    lines.push_back(std::string(static_cast<size_t>(wide) + 1, ' ') + x_labels(x, inside));
    return lines;
}

}  // namespace nib

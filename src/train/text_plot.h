// Diagrams in the characters of a terminal: curves as Braille dots (U+2800 ...), two by four in a character.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nib {

/// Points by ascending x.
struct TextCurve {
    struct Point {
        double x = 0, y = 0;
    };
    std::vector<Point> points;
    int color = 0;          // 1 to 6: one of a terminal's colours; 0: none
    std::string character;  // one for each point, where there is one; empty: dots, joined by lines
};

struct TextPlot {
    std::string title;
    std::vector<TextCurve> curves;
    double x_low = 0, x_high = 1;
    int columns = 80, rows = 10;  // of characters, with title and labels
    bool colors = false;          // as the escape sequences of a terminal
};

/// `rows` lines without ends, each `columns` wide. Sizes that are too small for a diagram are enlarged.
std::vector<std::string> draw(const TextPlot& plot);

/// `text` in a colour as in TextCurve.
std::string colored(const std::string& text, int color);

}  // namespace nib

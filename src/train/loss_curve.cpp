#include "train/loss_curve.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "train/axis.h"

namespace nib {
namespace {

constexpr double kWidth = 800, kHeight = 480, kLeft = 70, kRight = 24, kScoreRight = 78, kTop = 48, kBottom = 56;
constexpr int64_t kMaxPoints = 300;
constexpr const char *kTrainColor = "#4c78a8", *kValColor = "#e4572e", *kScoreColor = "#3a9a5b";

// Averages neighbouring points, so that at most kMaxPoints are left.
std::vector<LossPoint> thin(std::span<const LossPoint> points) {
    const auto size = static_cast<int64_t>(points.size()), count = std::min(size, kMaxPoints);
    std::vector<LossPoint> out;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t begin = size * i / count, end = size * (i + 1) / count;
        double sum = 0;
        for (int64_t j = begin; j < end; ++j) sum += points[static_cast<size_t>(j)].loss;
        out.push_back({points[static_cast<size_t>((begin + end - 1) / 2)].step, sum / static_cast<double>(end - begin)});
    }
    return out;
}

std::string escape(const std::string& text) {
    std::string out;
    for (const char c : printable(text)) {
        if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '&')
            out += "&amp;";
        else
            out += c;
    }
    return out;
}

std::string polyline(std::span<const LossPoint> points, const Axis& x, const Axis& y, const char* color) {
    std::string out = strprintf("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", color);
    for (const LossPoint& p : points) out += strprintf("%.1f,%.1f ", x.at(static_cast<double>(p.step)), y.at(p.loss));
    return out + "\"/>\n";
}

std::string grid(const Axis& x, const Axis& y) {
    std::string out;
    for (const double tick : y.ticks(6, 0))
        out += strprintf(
            "<line x1=\"%g\" y1=\"%.1f\" x2=\"%g\" y2=\"%.1f\" stroke=\"#e3e3e3\"/>"
            "<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
            x.from, y.at(tick), x.to, y.at(tick), x.from - 8, y.at(tick) + 5, tick);
    for (const double tick : x.ticks(8, 1))
        out += strprintf(
            "<line x1=\"%.1f\" y1=\"%g\" x2=\"%.1f\" y2=\"%g\" stroke=\"#888\"/>"
            "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%.0f</text>\n",
            x.at(tick), y.from, x.at(tick), y.from + 5, x.at(tick), y.from + 21, tick);
    out += strprintf("<path d=\"M%g %gV%gH%g\" fill=\"none\" stroke=\"#888\"/>\n", x.from, y.to, y.from, x.to);
    out += strprintf("<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">step</text>\n", (x.from + x.to) / 2, kHeight - 12);
    out += strprintf("<text transform=\"translate(18 %g) rotate(-90)\" text-anchor=\"middle\">loss</text>\n",
                     (y.from + y.to) / 2);
    return out;
}

// Of values that are drawn, with some room.
void set_range(Axis& axis, std::span<const LossPoint> points, double least = -INFINITY) {
    double low = INFINITY, high = -INFINITY;
    for (const LossPoint& p : points) low = std::min(low, p.loss), high = std::max(high, p.loss);
    if (low > high) return;
    const double margin = std::max((high - low) * 0.05, 0.01);
    axis.low = std::max(least, low - margin), axis.high = high + margin;
}

std::string circles(std::span<const LossPoint> points, const Axis& x, const Axis& y, const char* color) {
    std::string out;
    for (const LossPoint& p : points)
        out += strprintf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x.at(static_cast<double>(p.step)),
                         y.at(p.loss), color);
    return out;
}

// The curve of a score and its axis, at the right.
std::string score_curve(const ScoreCurve& score, const Axis& x, const Axis& losses) {
    Axis y{0, 1, losses.from, losses.to};
    set_range(y, score.points);
    std::string out = strprintf("<path d=\"M%g %gV%g\" stroke=\"%s\"/>\n", x.to, y.from, y.to, kScoreColor);
    for (const double tick : y.ticks(6, 0))
        out += strprintf("<text x=\"%g\" y=\"%.1f\" fill=\"%s\">%g</text>\n", x.to + 8, y.at(tick) + 5, kScoreColor, tick);
    out += strprintf("<text transform=\"translate(%g %g) rotate(-90)\" text-anchor=\"middle\" fill=\"%s\">%s</text>\n",
                     kWidth - 12, (y.from + y.to) / 2, kScoreColor, escape(score.name).c_str());
    return out + polyline(score.points, x, y, kScoreColor) + circles(score.points, x, y, kScoreColor);
}

// The last value of each score, in a line below the title.
std::string score_values(std::span<const ScoreCurve> scores, size_t drawn) {
    std::string out;
    for (size_t i = 0; i < scores.size(); ++i)
        out += strprintf("<tspan%s>%s%s %.3f</tspan>", i == drawn ? strprintf(" fill=\"%s\"", kScoreColor).c_str() : "",
                         i > 0 ? "  " : "", escape(scores[i].name).c_str(), scores[i].points.back().loss);
    return strprintf("<text x=\"%g\" y=\"42\" font-size=\"12\" text-anchor=\"end\" xml:space=\"preserve\">%s</text>\n",
                     kWidth - 24, out.c_str());
}

// `right`: where the diagram ends.
std::string legend(double right, double y, const char* color, const std::string& label) {
    return strprintf(
        "<line x1=\"%g\" y1=\"%g\" x2=\"%g\" y2=\"%g\" stroke=\"%s\" stroke-width=\"3\"/><text x=\"%g\" "
        "y=\"%g\">%s</text>\n",
        right - 186, y, right - 158, y, color, right - 150, y + 5, label.c_str());
}

}  // namespace

size_t drawn_score(std::span<const std::string> names) {
    return static_cast<size_t>(
        std::find_if(names.begin(), names.end(), [](const std::string& name) { return !name.ends_with("_loss"); }) -
        names.begin());
}

std::string loss_curve_svg(const std::string& title, std::span<const LossPoint> train, std::span<const LossPoint> val,
                           std::span<const ScoreCurve> scores) {
    std::vector<std::string> names;
    for (const ScoreCurve& score : scores) names.push_back(score.name);
    const size_t drawn = drawn_score(names);
    const double right = kWidth - (drawn < scores.size() ? kScoreRight : kRight);
    const std::vector<LossPoint> means = thin(train);
    std::vector<LossPoint> all = means;
    all.insert(all.end(), val.begin(), val.end());
    Axis x{0, 1, kLeft, right}, y{0, 1, kHeight - kBottom, kTop};
    for (const LossPoint& p : all) x.high = std::max(x.high, static_cast<double>(p.step));
    set_range(y, all, 0);
    std::string svg = strprintf(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" "
        "font-family=\"sans-serif\" font-size=\"14\" fill=\"#333\">\n<rect width=\"100%%\" height=\"100%%\" "
        "fill=\"#fff\"/>\n",
        kWidth, kHeight, kWidth, kHeight);
    svg += strprintf("<text x=\"%g\" y=\"24\" font-size=\"18\">%s</text>\n", kLeft, escape(title).c_str());
    svg += grid(x, y);
    if (!scores.empty()) svg += score_values(scores, drawn);
    if (drawn < scores.size()) svg += score_curve(scores[drawn], x, y);
    if (!means.empty()) {
        svg += polyline(means, x, y, kTrainColor);
        svg += legend(right, kTop + 10, kTrainColor, strprintf("training %.3f", means.back().loss));
    }
    if (!val.empty()) {
        svg += polyline(val, x, y, kValColor) + circles(val, x, y, kValColor);
        svg += legend(right, kTop + 32, kValColor, strprintf("validation %.3f", val.back().loss));
    }
    return svg + "</svg>\n";
}

}  // namespace nib

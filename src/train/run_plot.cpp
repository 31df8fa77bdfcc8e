#include "train/run_plot.h"

#include <algorithm>
#include <limits>
#include <span>

#include "core/error.h"
#include "io/progress.h"
#include "train/text_plot.h"

namespace nib {
namespace {

constexpr int kColors = 6;
constexpr int kSmallRows = 7;      // of the diagrams below
constexpr int kLeastLossRows = 8;  // of the one above, which has the rest
constexpr int kMostLossRows = 20;
constexpr int kGap = 2;  // columns between diagrams
constexpr size_t kLongestName = 24, kLongestScores = 66;

struct Small {
    const char* key;
    const char* title;
};
constexpr Small kSmall[] = {
    {"lr",        "learning rate"},
    {"grad_norm", "gradient norm"},
    {"tok_s",     "tokens/s"     }
};
// Of policies, whose loss says little.
constexpr Small kSmallOfPolicies[] = {
    {"rollout_reward", "reward in training" },
    {"rollout_kl",     "nats from its start"},
    {"clip_fraction",  "clipped ratios"     }
};

// How a run is told from the others: by its colour, or without colours by a letter.
struct Style {
    int color;
    std::string letter;     // of the curves; empty: dots
    std::string validated;  // the character of validations
};
Style style_of(size_t run, size_t runs, bool colors) {
    const auto letter = [&](char first) { return std::string(1, static_cast<char>(first + static_cast<char>(run))); };
    const int color = static_cast<int>(run % kColors) + 1;
    if (runs > 1 && !colors) return {color, letter('A'), letter('a')};
    return {color, "", "o"};
}

TextCurve curve_of(const Series& series, const Style& style) {
    TextCurve curve{{}, style.color, style.letter};
    for (const Series::Point& p : series.points()) curve.points.push_back({p.step, p.value});
    return curve;
}

std::string without_blanks(const std::string& line) { return line.substr(0, line.find_last_not_of(' ') + 1); }

// A line with the last values, as many as it has room for.
std::string last_of(const std::vector<RunLog::ScoreSeries>& series) {
    std::string line;
    for (const RunLog::ScoreSeries& one : series) {
        const std::string told = strprintf("%s %.4f", printable(one.name, kLongestName).c_str(), one.values.last());
        if (line.size() + told.size() <= kLongestScores) line += (line.empty() ? "\n  " : ", ") + told;
    }
    return line;
}

class Page {
public:
    Page(const std::vector<std::unique_ptr<RunLog>>& runs, const PageSize& size) : runs_(runs), size_(size) {
        x_low_ = std::numeric_limits<double>::max();
        for (const auto& run : runs)
            for (const char* key : {"loss", "val_loss", "lr", "grad_norm", "tok_s"})
                for (const Series::Point& p : run->of(key).points())
                    x_low_ = std::min(x_low_, p.step), x_high_ = std::max(x_high_, p.step);
        x_low_ = std::min(x_low_, x_high_);
    }

    std::string text() {
        std::string text;
        for (size_t i = 0; i < runs_.size(); ++i) text += head(i);
        const int left = size_.rows - static_cast<int>(std::count(text.begin(), text.end(), '\n'));
        const std::vector<Small> small = smalls();
        const bool room = !small.empty() && left >= kLeastLossRows + kSmallRows;
        const int rows = std::clamp(left - (room ? kSmallRows : 0), kLeastLossRows, kMostLossRows);
        text += beside(diagrams(rows));
        if (room) text += row_of(small);
        return text;
    }

private:
    // What describe() says, marked as the run's curves are.
    std::string head(size_t i) const {
        const Style style = style_of(i, runs_.size(), size_.colors);
        const std::string text = describe(*runs_[i]) + "\n";
        if (runs_.size() == 1) return text;
        return size_.colors ? colored("⠿", style.color) + " " + text : style.letter + " " + text;
    }

    TextPlot plot(const char* title, int columns, int rows) const {
        return {title, {}, x_low_, x_high_, columns, rows, size_.colors};
    }

    // The losses, and beside them the score that decides.
    std::vector<TextPlot> diagrams(int rows) const {
        TextPlot score = plot("", size_.columns * 2 / 5, rows);
        std::string name;
        for (size_t i = 0; i < runs_.size(); ++i) {
            const RunLog::ScoreSeries* const drawn = runs_[i]->drawn();
            if (drawn == nullptr || (!name.empty() && name != drawn->name)) continue;  // of another task
            name = drawn->name;
            score.curves.push_back(curve_of(drawn->values, style_of(i, runs_.size(), size_.colors)));
        }
        TextPlot loss = losses(rows);
        if (score.curves.empty()) return {loss};
        score.title = printable(name, kLongestName);
        loss.columns -= score.columns + kGap;
        return {loss, score};
    }

    TextPlot losses(int rows) const {
        const bool one = runs_.size() == 1;
        const bool validated = std::any_of(runs_.begin(), runs_.end(), [](const auto& r) { return r->best().has_value(); });
        const char* const both = one || size_.colors ? "training loss, and o validation loss"
                                                     : "training loss, and validation loss as small letters";
        TextPlot all = plot(validated ? both : "training loss", size_.columns, rows);
        for (size_t i = 0; i < runs_.size(); ++i)
            all.curves.push_back(curve_of(runs_[i]->of("loss"), style_of(i, runs_.size(), size_.colors)));
        for (size_t i = 0; i < runs_.size(); ++i) {
            const Style style = style_of(i, runs_.size(), size_.colors);
            all.curves.push_back(curve_of(runs_[i]->of("val_loss"), {one ? 2 : style.color, style.validated, {}}));
        }
        return all;
    }

    // The values that some run has.
    std::vector<Small> smalls() const {
        std::vector<Small> found;
        const bool policies =
            std::any_of(runs_.begin(), runs_.end(), [](const auto& run) { return !run->of("rollout_reward").empty(); });
        for (const Small& small : policies ? std::span<const Small>(kSmallOfPolicies) : std::span<const Small>(kSmall))
            if (std::any_of(runs_.begin(), runs_.end(), [&](const auto& run) { return !run->of(small.key).empty(); }))
                found.push_back(small);
        return found;
    }

    // Diagrams side by side.
    std::string row_of(const std::vector<Small>& small) const {
        const int count = static_cast<int>(small.size());
        std::vector<TextPlot> all;
        for (const Small& one : small) {
            TextPlot diagram = plot(one.title, (size_.columns - kGap * (count - 1)) / count, kSmallRows);
            for (size_t i = 0; i < runs_.size(); ++i)
                diagram.curves.push_back(curve_of(runs_[i]->of(one.key), style_of(i, runs_.size(), size_.colors)));
            all.push_back(std::move(diagram));
        }
        return beside(all);
    }

    // Diagrams of as many rows.
    static std::string beside(const std::vector<TextPlot>& diagrams) {
        std::vector<std::string> lines;
        for (const TextPlot& diagram : diagrams) {
            const std::vector<std::string> drawn = draw(diagram);
            lines.resize(drawn.size());
            for (size_t row = 0; row < lines.size(); ++row)
                lines[row] += (lines[row].empty() ? "" : std::string(kGap, ' ')) + drawn[row];
        }
        std::string text;
        for (const std::string& line : lines) text += without_blanks(line) + "\n";
        return text;
    }

    const std::vector<std::unique_ptr<RunLog>>& runs_;
    const PageSize size_;
    double x_low_, x_high_ = 0;
};

}  // namespace

std::string describe(const RunLog& run) {
    std::string text =
        strprintf("%s  step %lld", printable(run.name(), kLongestName).c_str(), static_cast<long long>(run.step()));
    const double seconds = run.seconds(), tokens = run.tokens();
    if (seconds > 0) text += strprintf(", %s, %.0f tokens, %.0f/s", clock_text(seconds).c_str(), tokens, tokens / seconds);
    text += "\n  ";
    if (!run.of("loss").empty()) text += strprintf("training loss %.4f", run.of("loss").last());
    if (const auto& best = run.best())
        text += strprintf("%svalidation %.4f, best %.4f at step %lld", run.of("loss").empty() ? "" : ", ",
                          run.of("val_loss").last(), best->val_loss, static_cast<long long>(best->step));
    return text + last_of(run.scores()) + last_of(run.others());
}

std::string run_page(const std::vector<std::unique_ptr<RunLog>>& runs, const PageSize& size) {
    return Page(runs, size).text();
}

}  // namespace nib

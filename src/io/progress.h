// Progress of long work: one live line on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace nib {

class Progress {
public:
    /// `live`: `out` is a terminal. `out` null: silent. Plain lines: the first and last step, and every `every` steps.
    Progress(std::FILE* out, bool live, int64_t every);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    struct Report {
        int64_t step = 0, steps = 0;  // done, in total
        double loss = 0, lr = 0, tok_s = 0;
        std::optional<double> val_loss;  // the last one
        std::string others{};            // what else there is to tell: "reward 0.5"
        double seconds_left = 0;
    };
    void step(const Report& report);
    /// Prints a line that stays.
    void line(const std::string& text);
    /// Shows a live line with other text; nothing without a terminal.
    void status(const std::string& text);
    /// Clears the live line, before something else writes to the screen.
    void clear();

private:
    bool due() const;  // whether it is time to update the live line
    void show(const std::string& text);

    std::FILE* out_;
    const bool live_;
    const int64_t every_;
    bool shown_ = false;  // a live line is on the screen
    std::chrono::steady_clock::time_point next_{};
};

/// "07:30", "1:02:05".
std::string clock_text(double seconds);

}  // namespace nib

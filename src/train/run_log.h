// The log of a training read back, finished or still growing, of any length in little memory.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/train_log.h"

namespace nib {

/// A value over the steps, as means over stretches of steps that grow with their number.
class Series {
public:
    struct Point {
        double step = 0, value = 0;  // means over a stretch
    };
    void add(int64_t step, double value);
    std::vector<Point> points() const;
    bool empty() const { return stretches_.empty(); }
    double last() const { return last_; }

private:
    static constexpr size_t kMaxStretches = 2048;
    struct Stretch {
        double steps = 0, values = 0, count = 0;  // sums
    };
    std::vector<Stretch> stretches_;  // steps [i << shift_, (i + 1) << shift_)
    int shift_ = 0;
    double last_ = 0;
};

/// The file that the user means: `name` if it ends with ".jsonl", else the log of the model with that name (RunFiles).
std::string log_file(const std::string& name);

class RunLog {
public:
    /// Leaves out steps before `first_step`.
    RunLog(std::string path, int64_t first_step) : path_(std::move(path)), first_step_(first_step) {}
    ~RunLog() { close(); }
    RunLog(const RunLog&) = delete;
    RunLog& operator=(const RunLog&) = delete;

    /// Reads the lines that have been added; from the beginning again if the file has been replaced or cut back. A line
    /// without an end is left for the next time. Error when the file cannot be read, or with the number of a line that a
    /// training has not written. Returns whether there is something new; `seen`, if given, is called with each new line.
    bool read(const std::function<void(const LogLine&)>& seen = {});

    const std::string& path() const { return path_; }
    /// "m" of "runs/m.log.jsonl".
    std::string name() const;

    struct Best {
        double val_loss = 0;
        int64_t step = 0;
    };
    int64_t step() const { return step_; }  // the last one; 0: there is none yet
    /// By the order of kLogColumns.
    const Series& operator[](size_t column) const { return series_[column]; }
    /// The same by name, or what LogLine::others has of that name; empty where there is none.
    const Series& of(std::string_view key) const;
    const std::optional<Best>& best() const { return best_; }
    /// Of validations, in the order in which they came first.
    struct ScoreSeries {
        std::string name;
        Series values;
    };
    const std::vector<ScoreSeries>& scores() const { return scores_; }
    /// LogLine::others, likewise.
    const std::vector<ScoreSeries>& others() const { return others_; }
    /// The one to draw (drawn_score()), null: there is none.
    const ScoreSeries* drawn() const;
    /// What all steps took, and the tokens they read; 0 in logs that do not say.
    double seconds() const { return seconds_; }
    double tokens() const { return tokens_; }

private:
    static constexpr size_t kColumns = std::size(kLogColumns);

    bool replaced() const;
    void close();
    void note(const std::vector<Score>& values, std::vector<ScoreSeries>& to) const;
    void take(std::string_view text, const std::function<void(const LogLine&)>& seen);

    std::string path_;
    int64_t first_step_;
    int descriptor_ = -1;
    off_t offset_ = 0;  // read so far
    std::string rest_;  // of that, a line without its end
    std::string last_;  // the line before that, with its end
    int64_t lines_ = 0;

    int64_t step_ = 0;
    Series series_[kColumns];
    std::vector<ScoreSeries> scores_, others_;
    std::optional<Best> best_;
    double seconds_ = 0, tokens_ = 0;
};

}  // namespace nib

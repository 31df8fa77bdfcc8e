// NAME.log.jsonl: one JSON object per step.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "task/task.h"
#include "train/loss_curve.h"

namespace nib {

/// What is known about a step: the loss of its batch before its update (none in a line that only adds a validation after a
/// resume), and the validation loss after it if there was a validation.
struct LogLine {
    int64_t step = 0;                                                      // 1 for the first
    std::optional<double> loss{}, val_loss{}, lr{}, grad_norm{}, tok_s{};  // losses in nats, tokens per second
    std::optional<double> seconds{};                                       // of the step, without validation and saving
    std::vector<Score> scores{};                                           // of the validation, if the task has them
    std::vector<Score> others{};                                           // what else the task tells of the step
};

/// The values of a line, their names in the file, and in TensorBoard (null: not there).
struct LogColumn {
    const char* key;
    const char* tag;
    std::optional<double> LogLine::*value;
};
constexpr LogColumn kLogColumns[] = {
    {"loss",      "loss/train",        &LogLine::loss     },
    {"val_loss",  "loss/validation",   &LogLine::val_loss },
    {"lr",        "learning_rate",     &LogLine::lr       },
    {"grad_norm", "gradient_norm",     &LogLine::grad_norm},
    {"tok_s",     "tokens_per_second", &LogLine::tok_s    },
    {"seconds",   nullptr,             &LogLine::seconds  },
};

/// A line of the file, without its end; and back: nothing if it is not one.
std::string log_text(const LogLine& line);
std::optional<LogLine> parse_log_line(std::string_view text);

class EventLog;

/// Every call throws Error if the file cannot be read or written.
class TrainLog {
public:
    /// Lines go to `events`, too, if there is one.
    explicit TrainLog(std::string path, std::unique_ptr<EventLog> events = nullptr);
    TrainLog(TrainLog&&) noexcept;
    ~TrainLog();

    /// Continues the existing log, if any; drops lines after `step` and a line that a kill has left unfinished.
    void resume(int64_t step);
    /// Starts a new file with the lines added so far. Before start() or resume(), lines stay in memory.
    void start();
    /// Whoever watches the file sees a line soon: they are passed on about once a second.
    void add(const LogLine& line);
    /// Passes all lines on to the system.
    void flush();

    const std::vector<LossPoint>& train() const { return train_; }
    const std::vector<LossPoint>& val() const { return val_; }
    /// In the order in which they came first.
    const std::vector<ScoreCurve>& scores() const { return scores_; }

private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    void open(const char* mode);
    void write();
    void note(const LogLine& line);
    [[noreturn]] void fail_to_write(int error) const;

    std::string path_;
    std::unique_ptr<std::FILE, Close> file_;
    std::unique_ptr<EventLog> events_;
    std::vector<LogLine> pending_;  // lines that are not in the file yet
    bool started_ = false;          // there may be a file
    std::chrono::steady_clock::time_point flushed_{};
    std::vector<LossPoint> train_, val_;
    std::vector<ScoreCurve> scores_;
};

}  // namespace nib

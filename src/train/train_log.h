// NAME.log.jsonl: one JSON object per step.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/loss_curve.h"

namespace nib {

/// What is known about a step: the loss of its batch before its update (none in a line that only adds a validation after a
/// resume), and the validation loss after it if there was a validation.
struct LogLine {
    int64_t step = 0;  // 1 for the first
    std::optional<double> loss, val_loss, lr, grad_norm, tok_s;
};

/// Every call throws Error if the file cannot be read or written.
class TrainLog {
public:
    explicit TrainLog(std::string path) : path_(std::move(path)) {}

    /// Continues the existing log, if any; drops lines after `step` and a line that a kill has left unfinished.
    void resume(int64_t step);
    /// Starts a new file with the lines added so far. Before start() or resume(), lines stay in memory.
    void start();
    void add(const LogLine& line);
    /// Passes all lines on to the system.
    void flush();

    const std::vector<LossPoint>& train() const { return train_; }
    const std::vector<LossPoint>& val() const { return val_; }

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
    std::string pending_;   // lines that are not in the file yet
    bool started_ = false;  // there may be a file
    std::vector<LossPoint> train_, val_;
};

}  // namespace nib

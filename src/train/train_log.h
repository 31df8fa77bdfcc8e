// NAME.log.jsonl: one JSON object per step.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/loss_curve.h"

namespace nib {

/// What is known of a step: the loss of its batch before its update (none in a line that only adds a validation after a
/// resume), and the validation loss after it if there was one.
struct LogLine {
    int64_t step = 0;  // 1 for the first
    std::optional<double> loss, val_loss, lr, grad_norm, tok_s;
};

class TrainLog {
public:
    /// Begins a new log with the first line, or with `resumed_step` goes on with the log there is: lines of later steps,
    /// and what a kill has left unfinished, are dropped.
    TrainLog(std::string path, std::optional<int64_t> resumed_step);

    /// Error when the file cannot be written, or another process writes it: it is locked while it is open.
    void add(const LogLine& line);
    /// Hands all lines to the system.
    void flush();
    /// Closes the file and removes it, if it was written.
    void remove();

    const std::vector<LossPoint>& train() const { return train_; }
    const std::vector<LossPoint>& val() const { return val_; }

private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    void open();
    void note(const LogLine& line);
    [[noreturn]] void fail_to_write(int error) const;

    std::string path_;
    const bool resumed_;
    std::unique_ptr<std::FILE, Close> file_;
    std::vector<LossPoint> train_, val_;
};

}  // namespace nib

// The training loop: steps, validation, early stopping, checkpoints, log, curve, samples.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/progress.h"
#include "train/batches.h"
#include "train/prepare.h"
#include "train/train_log.h"
#include "train/train_step.h"

namespace nib {

/// What the loop asks of its surroundings; any may be empty.
struct TrainHooks {
    std::function<bool()> stop;  // asked between steps: save and end now
    std::function<void(const TrainStep&, const CharTokenizer&, int64_t step)> sample;  // lets the model write
};

enum class TrainEnd { Finished, StoppedEarly, Interrupted, NothingToDo };

struct TrainResult {
    TrainEnd end = TrainEnd::Finished;
    int64_t step = 0;  // updates that the saved model has had
    std::optional<double> val_loss;
    std::optional<double> best_loss;  // of NAME.best.gguf
};

/// A run from its preparation to its end. Files are those of RunFiles; the rules that make a resumed run equal an
/// uninterrupted one byte for byte are:
/// - a validation counts for early stopping only every eval_every steps, not the additional one at the end of a run;
/// - a checkpoint is written only once the loss that follows from its weights has proved finite, so that a run which
///   diverges leaves the last good one.
/// A new run touches no file before its first checkpoint: what an earlier one has left stays whole until it is replaced.
class Trainer {
public:
    /// Allocates and compiles; `backend` must outlive it.
    Trainer(Backend& backend, TrainSetup setup, Progress& progress, TrainHooks hooks = {});

    /// Error when the loss or the gradient is not finite any more, or a file cannot be written; the last good checkpoint
    /// stays, and if there was none, the files are as they were before.
    TrainResult run();

    /// Lets the model write (TrainHooks::sample).
    void sample();
    const TrainStep& train() const { return train_; }

private:
    using Clock = std::chrono::steady_clock;

    TrainEnd loop();
    bool stopping() const { return hooks_.stop && hooks_.stop(); }
    bool stopped_early() const { return options_.patience > 0 && state_.worse >= options_.patience; }
    void validate_if_due();
    std::optional<double> validation_loss();
    bool note_best(double val_loss, bool regular);
    void publish_best();
    double gradients(int64_t micro_batches, bool update);
    int64_t drawn(int64_t row) const;
    int64_t predicted(int64_t rows) const;
    void read_pair(const Pairs& pairs, int64_t i, int64_t b);
    std::span<int32_t> part(std::vector<int32_t>& of, int64_t b) const;
    SourceBatch source() const { return {source_, source_lengths_}; }
    void read_validation(int64_t first);
    int64_t validation_rows() const;
    void check_finite(const char* what, double value) const;
    TrainStep::Update next_update() const;
    void report(double loss, Clock::duration time);
    void finish_line();
    void save();
    void sample_if_due();
    void draw_curve();
    void introduce() const;

    TrainSetup setup_;
    TrainOptions& options_;
    TrainState& state_;
    Progress& progress_;
    const TrainHooks hooks_;
    const Schedule schedule_;
    TrainStep train_;
    TrainLog log_;

    std::optional<LogLine> line_;                   // of the last step, until its validation is known
    std::optional<double> val_loss_;                // the last one
    std::optional<double> best_loss_;               // in NAME.best.gguf
    std::unique_ptr<AtomicFile> best_file_;         // the same before the first checkpoint, complete but not published
    int64_t validated_ = -1;                        // step at which that was done last
    int64_t saved_ = -1;                            // step of the pair on the disk
    std::vector<int32_t> ids_, targets_;            // (B*T)
    std::vector<int32_t> source_, source_lengths_;  // (B*T), (B), of models with an encoder

    Clock::time_point begin_;
    int64_t first_step_ = 0;  // of this run
    double tok_s_ = 0;        // smoothed
};

}  // namespace nib

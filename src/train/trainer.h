// The training loop: steps, validation, early stopping, checkpoints, log, curve, samples.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/progress.h"
#include "task/task.h"
#include "task/token_dropout.h"
#include "train/prepare.h"
#include "train/sample_log.h"
#include "train/train_batch.h"
#include "train/train_log.h"
#include "train/train_step.h"

namespace nib {

/// Callbacks of the loop; each may be empty.
struct TrainHooks {
    std::function<bool()> stop;  // asked between steps: whether to save and stop
    /// Writes a sample; by the tokenizers that the model reads and writes by.
    std::function<void(const TrainStep&, const Tokenizer& reads, const Tokenizer& writes, int64_t step)> sample;
};

enum class TrainEnd { Finished, StoppedEarly, Interrupted, NothingToDo };

struct TrainResult {
    TrainEnd end = TrainEnd::Finished;
    int64_t step = 0;  // updates that the saved model has had
    std::optional<double> val_loss;
    std::vector<Score> scores{};  // with val_loss, of a task that has them
    std::optional<double> best;   // of NAME.best.gguf: its loss or, where there are scores, its first
    std::string best_of{};        // what that is: "loss", "accuracy"
};

/// A run after its preparation. It writes the files of RunFiles. A resumed run gives the same bytes as an uninterrupted
/// one, thanks to these rules:
/// - only validations every eval_every steps count for early stopping, not the additional one at the end of a run;
/// - a checkpoint is written only after its weights have given a finite loss, so that a run that diverges leaves the last
///   good one.
/// A new run touches no file before its first checkpoint: the files of an earlier one stay intact until they are replaced.
class Trainer {
public:
    /// Allocates and compiles; `backend` must outlive it.
    Trainer(Backend& backend, TrainSetup setup, Progress& progress, TrainHooks hooks = {});

    /// Error when the loss or the gradient is no longer finite, or a file cannot be written. The last good checkpoint
    /// stays; without one, the files are as they were before.
    TrainResult run();

    /// Writes a sample (TrainHooks::sample).
    void sample();
    const TrainStep& train() const { return train_; }

private:
    using Clock = std::chrono::steady_clock;

    TrainEnd loop();
    bool stopping() const { return hooks_.stop && hooks_.stop(); }
    bool stopped_early() const { return options_.patience > 0 && state_.worse >= options_.patience; }
    TaskModel model();
    void validate_if_due();
    struct Validation {
        std::optional<double> loss{};  // none of a policy
        std::vector<Score> scores{};
        bool by_score = false;
        /// What decides which model is the best: the loss, or the first score, of which more is better.
        const char* decides() const { return by_score ? scores.front().name.c_str() : "loss"; }
        double decisive() const { return by_score ? scores.front().value : *loss; }
        bool beats(double other) const { return by_score ? decisive() > other : decisive() < other; }
    };
    std::optional<Validation> validation();
    void hand_over(const std::array<LossSum, kMostObjectives>& batch, int64_t first, Judge& judge) const;
    bool note_best(const Validation& validation, bool regular);
    void publish_best();
    void begin_step(bool save_first);
    double gradients(int64_t micro_batches, bool update);
    void check_finite(const char* what, double value) const;
    TrainStep::Update next_update() const;
    void tell(const std::vector<Score>& scores);
    void add_figures(std::vector<Figure>& sums) const;
    void report(double loss, Clock::duration time);
    void finish_line();
    void save();
    void sample_if_due();
    void sum_if_due();
    void publish_mean();
    void draw_curve();
    void introduce() const;

    TrainSetup setup_;
    TrainOptions& options_;
    TrainState& state_;
    Progress& progress_;
    const TrainHooks hooks_;
    const Schedule schedule_;
    const std::unique_ptr<Task> task_;
    const std::optional<TokenDropout> token_dropout_;
    TrainStep train_;
    WeightSum sum_;
    TrainLog log_;
    SampleLog samples_;
    TrainBatch batch_;

    std::optional<LogLine> line_;            // of the last step, until its validation is known
    std::optional<double> val_loss_;         // the last one
    std::optional<double> best_;             // in NAME.best.gguf
    std::vector<Score> scores_;              // of the last validation
    std::string best_of_;                    // what best_ is, once there was one
    std::unique_ptr<AtomicFile> best_file_;  // that file before the first checkpoint, complete but not published
    int64_t validated_ = -1;                 // step of the last validation
    int64_t saved_ = -1;                     // step of the checkpoint on disk; -1: none
    std::string told_;                       // what the live line says beside the loss
    bool save_due_ = false;                  // but the task was not ready for it

    Clock::time_point begin_;
    int64_t first_step_ = 0;  // of this run
    int64_t tokens_ = 0;      // of the last step: those the decoder reads
    double tok_s_ = 0;        // smoothed
};

}  // namespace nib

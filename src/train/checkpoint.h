// What a training run leaves on the disk and how it is resumed.
//
// NAME.gguf holds the weights, NAME.state.gguf the optimizer's moments, the step and the options. Both carry the same id, a
// checksum of weights and step. They are written under temporary names, made durable and renamed one after the other: a
// kill before the first rename leaves the old pair, one between the two leaves the other half of the new pair complete
// under its temporary name, from where recover_pair() fetches it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "io/gguf.h"
#include "text/char_tokenizer.h"
#include "train/dataset.h"
#include "train/options.h"
#include "train/train_step.h"

namespace nib {

/// The files of a run.
struct RunFiles {
    std::string model;  // NAME.gguf
    std::string state;  // NAME.state.gguf
    std::string best;   // NAME.best.gguf
    std::string log;    // NAME.log.jsonl
    std::string curve;  // NAME.svg
    /// From what the user gave as output, with or without ".gguf".
    explicit RunFiles(const std::string& output);
};

/// What besides tensors and options a run must remember.
struct TrainState {
    int64_t step = 0;       // updates done
    int64_t evaluated = 0;  // step of the last regular validation
    int64_t best_step = 0;  // step of the best one, 0: none yet
    double best_loss = 0;   // its loss
    int64_t worse = 0;      // validations since
    TextIdentity text, val_text;
};

/// Writes and publishes the pair. Error leaves the old pair.
void save_checkpoint(const RunFiles& files, const TrainStep& train, const CharTokenizer& tokenizer,
                     const TrainOptions& options, const TrainState& state);

/// Writes NAME.best.gguf: weights that had this validation loss.
void save_best(const RunFiles& files, const TrainStep& train, const CharTokenizer& tokenizer, int64_t step,
               double val_loss);

/// The validation loss in NAME.best.gguf; nothing when there is no such file of nib's.
std::optional<double> read_best_loss(const RunFiles& files);

/// Error when another process trains under this name: it holds a lock on the log, and on files while it writes them.
void require_not_running(const RunFiles& files);

/// Completes a pair that a kill left half renamed and removes other leftovers. Error when there is nothing to resume or the
/// two files do not belong together.
void recover_pair(const RunFiles& files);

/// An opened pair.
struct Checkpoint {
    GgufFile model, state_file;
    GptConfig config;
    std::unique_ptr<CharTokenizer> tokenizer;
    TrainOptions options;
    TrainState state;
};

/// Opens the pair that recover_pair() has completed. Error when a key or tensor is missing or does not fit.
Checkpoint open_checkpoint(const RunFiles& files);

/// Loads weights and moments. Error when the weights' checksum is wrong.
void restore(const Checkpoint& checkpoint, TrainStep& train);

}  // namespace nib

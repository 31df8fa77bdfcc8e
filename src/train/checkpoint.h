// What a training run leaves on the disk and how it is resumed.
//
// NAME.gguf holds the weights, NAME.state.gguf the optimizer's moments, the step and the options. Both carry the same id, a
// checksum of weights and step. They are written under temporary names, made durable and renamed one after the other: an
// end before the first rename leaves the old pair, one between the two leaves the other half of the new pair complete
// under its temporary name, from where complete_pair() fetches it.
//
// The other files are those of the run that the pair is of: what a run that was replaced has left is removed just before
// the new pair appears, and what the new run adds is written after that. No instant mixes the two.
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
    std::string lock;   // NAME.gguf.lock, while nib trains
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

/// Writes and publishes the pair; with `first`, of a new run, it also removes what another run has left beside it. Error
/// leaves the old pair, or the new one for complete_pair().
void save_checkpoint(const RunFiles& files, const TrainStep& train, const CharTokenizer& tokenizer,
                     const TrainOptions& options, const TrainState& state, bool first);

/// Writes NAME.best.gguf, weights that had this validation loss, complete but not published yet.
std::unique_ptr<AtomicFile> write_best(const RunFiles& files, const TrainStep& train, const CharTokenizer& tokenizer,
                                       int64_t step, double val_loss);

/// The validation loss in NAME.best.gguf; nothing when there is no such file of nib's.
std::optional<double> read_best_loss(const RunFiles& files);

/// Completes a pair that was left half renamed, if there is one. The caller of this and of the next holds the run's lock.
void complete_pair(const RunFiles& files);

/// Error when there is no pair to resume or the two files do not belong together; else removes leftovers.
void require_pair(const RunFiles& files);

/// An opened pair.
struct Checkpoint {
    GgufFile model, state_file;
    ModelConfig config;
    std::unique_ptr<CharTokenizer> tokenizer;
    TrainOptions options;
    TrainState state;
};

/// Opens the pair that require_pair() has found. Error when a key or tensor is missing or does not fit.
Checkpoint open_checkpoint(const RunFiles& files);

/// Loads weights and moments. Error when a checksum is wrong.
void restore(const Checkpoint& checkpoint, TrainStep& train);

}  // namespace nib

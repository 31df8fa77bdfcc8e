// What a training run leaves on the disk and how it is resumed.
//
// NAME.gguf holds the weights, NAME.state.gguf the optimizer's moments, the step and the options. Both carry the same id, a
// checksum of weights and step. They are written under temporary names, made durable and renamed one after the other. A
// kill before the first rename leaves the old pair; a kill between the two leaves the second file of the new pair complete
// under its temporary name, and complete_pair() renames it.
//
// The other files always belong to the same run as the pair: those of a replaced run are removed just before the new pair
// appears, and those of the new run are written after that.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "model/adapter_file.h"
#include "model/loaded_model.h"
#include "text/tokenizer.h"
#include "train/dataset.h"
#include "train/options.h"
#include "train/train_step.h"
#include "train/weight_sum.h"

namespace nib {

/// The files of a run.
struct RunFiles {
    std::string model;    // NAME.gguf
    std::string state;    // NAME.state.gguf
    std::string best;     // NAME.best.gguf
    std::string mean;     // NAME.mean.gguf
    std::string log;      // NAME.log.jsonl
    std::string curve;    // NAME.svg
    std::string samples;  // NAME.samples.md, of a policy
    std::string lock;     // NAME.gguf.lock, while nib trains
    /// From what the user gave as output, with or without ".gguf".
    explicit RunFiles(const std::string& output);
    /// All but the lock: the pair first.
    std::vector<std::string> written() const { return {model, state, best, mean, log, curve, samples}; }
};

/// The state of a run besides tensors and options.
struct TrainState {
    int64_t step = 0;       // updates done
    int64_t evaluated = 0;  // step of the last regular validation
    int64_t best_step = 0;  // step of the best one, 0: none yet
    double best = 0;        // its loss or, of a task that has scores, its first one
    int64_t worse = 0;      // validations since
    int64_t summed = 0;     // how often the weights were added to the WeightSum, 0: there is none
    int64_t summed_at = 0;  // at which step last
    TextIdentity text, val_text, beside;
    std::string base;            // where the model was that adapters are trained for; empty: none are
    uint64_t base_weights = 0;   // its weights_checksum()
    std::vector<double> task{};  // Task::kept()
};

/// What a model's file holds beside weights and sizes.
struct ModelInfo {
    std::string name;                      // of people
    std::string chat_template;             // empty: none
    std::optional<AdapterKeys> adapter{};  // of a training of adapters, whose file holds them alone
    /// Of a model with an encoder that does not write by the tokenizer it reads by; else null.
    std::shared_ptr<const Tokenizer> target_tokenizer{};
};

/// Writes and publishes the pair. `sum` is that of TrainState::summed. `first`: it is the first of a new run, so the other
/// files of an earlier run are removed. An Error leaves the old pair, or the new one for complete_pair().
void save_checkpoint(const RunFiles& files, const TrainStep& train, const Tokenizer& tokenizer, const ModelInfo& info,
                     const TrainOptions& options, const TrainState& state, const WeightSum& sum, bool first);

/// Writes NAME.best.gguf, weights with this validation loss or first score, completely but without publishing it.
std::unique_ptr<AtomicFile> write_best(const RunFiles& files, const TrainStep& train, const Tokenizer& tokenizer,
                                       const ModelInfo& info, int64_t step, double best);

/// Writes NAME.mean.gguf, whose weights are a sum of `count` ones over that, likewise.
std::unique_ptr<AtomicFile> write_mean(const RunFiles& files, const TrainStep& train, const Tokenizer& tokenizer,
                                       const ModelInfo& info, int64_t step, const WeightSum& sum, int64_t count);

/// Of the types and bytes of all tensors.
uint64_t weights_checksum(const GgufFile& model);

/// That of a model's file.
ModelInfo read_info(const GgufFile& model);

/// That of NAME.best.gguf; nothing if there is no such file, or not one that nib has written.
std::optional<double> read_best(const RunFiles& files);

/// Completes a pair that was left half renamed, if any. The caller of this and of require_pair() holds the run's lock.
void complete_pair(const RunFiles& files);

/// Error when there is no pair to resume or the two files do not belong together; else removes leftover temporary files.
void require_pair(const RunFiles& files);

/// An opened pair.
struct Checkpoint {
    GgufFile model, state_file;
    std::unique_ptr<LoadedModel> base;  // where frozen weights are; null: none are
    ModelConfig config;
    ModelInfo info;
    std::unique_ptr<Tokenizer> tokenizer;
    TrainOptions options;
    TrainState state;
};

/// Opens the pair that require_pair() has found and, of adapters, the model they are for: `base`, or empty: where it was.
/// Error when a key or tensor is missing or does not fit, and for another model.
Checkpoint open_checkpoint(const RunFiles& files, const std::string& base, Backend& backend);

/// Loads weights, moments and, if there is one, the sum of weights. Error when a checksum is wrong.
void restore(const Checkpoint& checkpoint, TrainStep& train, WeightSum& sum);

}  // namespace nib

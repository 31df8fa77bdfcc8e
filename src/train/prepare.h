// Everything before the first step: options, texts, sizes, files, and whether a resumed run has the same options and texts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/loaded_model.h"
#include "text/tokenizer_training.h"
#include "train/checkpoint.h"
#include "train/event_log.h"

namespace nib {

/// What the user asks for.
struct TrainRequest {
    std::vector<std::string> inputs;  // files and folders
    std::string validation;           // a text file; empty: validates on the end of the inputs
    /// Of pairs whose texts are in two files: that of the targets, whose lines belong to those of the input, and that of
    /// the validation's. Empty: the files are tables.
    std::string target, validation_target;
    std::string output;  // NAME.gguf or NAME
    std::string from;    // a model to start from; empty: random weights
    bool resume = false;
    bool overwrite = false;  // replace what another run has left under this name
    TrainOptions options;
    GivenOptions given;              // options that are not defaults
    DType activations = DType::F32;  // TrainShape
    int threads = 1;                 // that tokenize
    /// Of learning a tokenizer and of tokenizing.
    TrainingProgress progress = [](const char*, uint64_t, uint64_t) {};
    /// Of records that are passed over.
    std::function<void(const std::string&)> note{};
};

/// A run that is ready to start.
struct TrainSetup {
    RunFiles files;
    std::unique_ptr<FileLock> lock;  // keeps other processes from these files
    TrainOptions options;
    Dataset data;
    std::unique_ptr<LoadedModel> base;  // what weights start from, and where frozen ones are; null: neither
    std::unique_ptr<Tokenizer> tokenizer;
    ModelInfo info;
    ModelConfig config;
    TrainShape shape;
    TrainState state;
    TrainingMemory memory;
    std::unique_ptr<Checkpoint> checkpoint;  // when resuming: to restore from
};

/// Checks the request, locks the output, completes a checkpoint that was left half renamed, opens the texts and, to resume,
/// the checkpoint, and checks that the output can be written. Error for anything that is wrong, also when another process
/// trains under this name, before anything large is allocated and without writing anything but files of tokens.
/// `backend` must outlive the result.
TrainSetup prepare_training(const TrainRequest& request, Backend& backend);

/// What the options ask for TensorBoard, under the model's name; null: nothing.
std::unique_ptr<EventLog> make_event_log(const RunFiles& files, const TrainOptions& options);

}  // namespace nib

// Everything that happens before the first step: options, texts, sizes, files, and what a resumed run must agree with.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/checkpoint.h"

namespace nib {

/// What the user asks for.
struct TrainRequest {
    std::vector<std::string> inputs;  // files and folders
    std::string validation;           // a text; empty: the end of the inputs validates
    std::string output;               // NAME.gguf or NAME
    bool resume = false;
    bool overwrite = false;  // replace what another run has left under this name
    TrainOptions options;
    GivenOptions given;              // options that are not defaults
    DType activations = DType::F32;  // TrainShape
};

/// A run that can begin.
struct TrainSetup {
    RunFiles files;
    std::unique_ptr<FileLock> lock;  // keeps other processes from these files
    TrainOptions options;
    Dataset data;
    std::unique_ptr<CharTokenizer> tokenizer;
    ModelConfig config;
    TrainShape shape;
    TrainState state;
    TrainingMemory memory;
    std::unique_ptr<Checkpoint> checkpoint;  // when resuming: to restore from
};

/// Checks the request, locks the output, completes a checkpoint that was left half renamed, opens the texts, when resuming
/// opens the checkpoint, and sees that the output can be written. Error for everything that is
/// wrong, also when another process trains under this name, before anything large is allocated; nothing is written.
TrainSetup prepare_training(const TrainRequest& request, const Backend& backend);

}  // namespace nib

// A model in somebody else's files: its configuration, and where each parameter's values are.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "io/checkpoint_source.h"
#include "model/config.h"
#include "model/encode.h"

namespace nib {

/// What the user knows and perhaps no file says (a bare state dict holds neither). Given, it counts more than the files.
struct ImportHints {
    std::optional<int64_t> heads;
    std::optional<Act> act;
};

/// What the user should know of a conversion, and can do about it.
struct Note {
    std::string text;  // a line
    Remedy remedy = Remedy::None;
    Note(std::string line, Remedy what_helps = Remedy::None) : text(std::move(line)), remedy(what_helps) {}
    Note(const char* line) : text(line) {}
};

struct ImportedTensor {
    std::string name;                // in GGUF
    std::vector<int64_t> shape;      // outermost first
    std::vector<SourceTensor> from;  // readable views; none: values that are not in the files
    ReadValues read;                 // from several threads at once
};

struct ImportedModel {
    ModelConfig config;
    std::string name;                     // of the model
    std::string folder;                   // with the tokenizer, "." if it was not named; empty for weights that stand alone
    int32_t begin = -1, end = -1;         // tokens around a text, from config.json; -1: none
    std::vector<ImportedTensor> tensors;  // in file order
    std::vector<Note> notes;              // what was assumed or left out
};

/// The model in `source`. What the shapes do not say is in a config.json in the same folder, or saved beside the tensors,
/// or in `hints`. `source` must outlive the result. Error, naming file, key or tensor, when something is missing, left
/// over, of another shape, or not what nib computes.
ImportedModel import_model(const CheckpointSource& source, const ImportHints& hints);

}  // namespace nib

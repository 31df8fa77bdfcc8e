// Making model files: from somebody else's checkpoint, and with weights of another type.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "core/dtype.h"
#include "core/error.h"
#include "model/adapter_file.h"
#include "model/encode.h"
#include "model/import.h"

namespace nib {

/// How a conversion talks to the user while it works.
struct ConvertReports {
    std::function<void(const Note&)> warn;
    std::function<void(double)> progress;  // the share that is done, 0 to 1
};

struct ConvertRequest {
    std::string input, output;
    bool overwrite = false;                // a file that exists, once the new one is complete
    std::optional<DType> type;             // of matrices; none: as the checkpoint has its embedding, or f32
    std::string vocab;                     // a tokenizer's folder or file, "none"; empty: the one beside the weights
    std::optional<std::string> end_token;  // for Tokenizer::set_end_token(); a number if there is no tokenizer
    ImportHints hints;
    std::string base;  // of an adapter, the model file it belongs to; empty: what its own files say must do
    int threads = 1;
};

struct ConvertResult {
    DType type;
    int64_t parameters;
    uint64_t bytes;  // of the file
};

/// Writes the model of a Hugging Face folder, a safetensors file, a PyTorch checkpoint or a file of llama2.c as a GGUF
/// file. Weights pass from map to file a piece at a time. Error leaves no file behind.
ConvertResult convert_checkpoint(const ConvertRequest& request, const ConvertReports& reports);

/// Copies a GGUF file with its matrices as `type`; all else stays as it is. `vocab` and `hints` are not used.
ConvertResult quantize_file(const ConvertRequest& request, const ConvertReports& reports);

/// Copies a model file with adapters added into the matrices that they belong to. No type: each stays as it is.
ConvertResult merge_adapters(const ConvertRequest& request, std::span<const AdapterChoice> adapters,
                             const ConvertReports& reports);

// Shared with model/peft.cpp:

void refuse_existing_output(const std::string& output, bool overwrite);
/// Writes all that has been added to `writer`, and says what came up.
ConvertResult write_file(const GgufWriter& writer, const ConvertRequest& request, DType type, int64_t elements,
                         const Encoder& encoder, const ConvertReports& reports);

}  // namespace nib

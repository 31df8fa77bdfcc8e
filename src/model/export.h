// A model file as a folder that Hugging Face's `transformers` loads.
#pragma once

#include <optional>
#include <string>

#include "model/convert.h"

namespace nib {

struct ExportRequest {
    std::string input, output;  // a GGUF file, a folder
    bool overwrite = false;     // replace what is in a folder that exists
    std::optional<DType> type;  // F32, F16 or BF16 for all; none: as each tensor is, quantized ones as f32
    std::string base;           // of an adapter, the model file it belongs to; empty: what its own keys say must do
    int threads = 1;
};

/// Writes config.json, model.safetensors and the tokenizer's files. The folder is made if need be, and everything in it
/// appears only when all is written. Error leaves it as it was.
ConvertResult export_model(const ExportRequest& request, const ConvertReports& reports);

}  // namespace nib

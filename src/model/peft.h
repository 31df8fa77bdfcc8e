// LoRA adapters as PEFT saves them: a folder with adapter_config.json and adapter_model.safetensors.
#pragma once

#include <string>

#include "model/convert.h"
#include "model/export.h"

namespace nib {

/// Whether `path` is such a folder, or the file of weights in one.
bool is_peft_adapter(const std::string& path);

/// Writes it as a GGUF file (model/adapter_file.h). What family it is for say its own files or ConvertRequest::base, which
/// the order of rotary heads' rows needs, too. Error, naming the key or tensor, for whatever is not plain LoRA, and as from
/// AdapterFile::check_base() for another base than it fits; with Remedy::GiveBase where none is given.
ConvertResult convert_adapter(const ConvertRequest& request, const ConvertReports& reports);

/// Writes an adapter's file as such a folder. ExportRequest::base as above.
ConvertResult export_adapter(const ExportRequest& request, const ConvertReports& reports);

}  // namespace nib

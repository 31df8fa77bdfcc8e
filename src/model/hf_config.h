// config.json of Hugging Face folders, and of others who write one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "io/json_value.h"
#include "model/architecture.h"
#include "model/saved_config.h"

namespace nib {

class UnsupportedOption : public Error {
public:
    using Error::Error;
};

class ConfigFile {
public:
    /// `file` is its name. Error for what is no JSON object or names a model that nib does not convert.
    ConfigFile(std::string_view text, const std::string& file);

    /// Whose model it says it is of, nullptr when it says nothing (or names a preset of minGPT).
    const Architecture* architecture() const { return architecture_; }

    /// Which of the family's classes it says it is of, nullptr when it names none. One that nib does not have is a decoder
    /// without heads but the usual one; of encoders it is UnsupportedOption.
    const HfClass* model_class(const Architecture& architecture) const;

    /// All but what CheckpointFormat::read reads, as a model of `architecture`: transformers' keys, minGPT's or those of
    /// any program that the family's table has. Error, naming the file and the key, for what makes no sense;
    /// UnsupportedOption for whatever would make the model compute something that nib does not.
    SavedConfig read(const Architecture& architecture) const;
    /// The rest, with sizes in place.
    void read_rest(const Architecture& architecture, ModelConfig& config) const;

private:
    std::string file_;
    nlohmann::json json_;
    const Architecture* architecture_ = nullptr;
};

/// How transformers saves models of this family. Error when it has no class for them.
const CheckpointFormat& hf_format(const ModelConfig& config);
/// The name of transformers' class for such a model; Error when there is none with its heads.
std::string hf_class(const ModelConfig& config);

/// The text of a config.json that `transformers` and ConfigFile read as this model. `dtype` is PyTorch's word for the type
/// of the weights: "float32". Error for what transformers' class does not have.
struct HfTokens {
    int32_t begin = -1, end = -1, padding = -1;  // -1: none
};
std::string hf_config_text(const ModelConfig& config, const std::string& name, const std::string& dtype,
                           const HfTokens& tokens = {});

// For the families' own part.

/// UnsupportedOption unless each of these options is missing or has this value, the only one that nib computes.
void require_options(const JsonValue& json, std::initializer_list<std::pair<const char*, bool>> values);
/// The same of what makes a decoder one that reads a source.
void refuse_encoder_decoder(const JsonValue& json);
/// UnsupportedOption: "FILE: KEY: WHAT is not supported".
[[noreturn]] void refuse_option(const JsonValue& value, const std::string& what);

/// The activation that Hugging Face calls `name`, none when nib has it not.
std::optional<Act> find_activation(std::string_view name);
/// The same; Error, beginning with `where`, when it is none of `acts`.
Act get_activation(std::string_view name, const std::string& where, std::span<const Act> acts);
/// Its name: "gelu_new".
const char* activation_name(Act act);
/// "gelu_new, relu": all names of these.
std::string activation_names(std::span<const Act> acts);

}  // namespace nib

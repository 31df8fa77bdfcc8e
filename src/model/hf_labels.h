// The labels of a head in transformers' config.json: id2label, label2id, and what kind of problem they are of.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "io/json_value.h"
#include "model/config.h"

namespace nib {

/// Takes the names of the classes of a head `class` or `tag`, if the model has one, and whether a text has several of
/// them. Error for names that do not match the head's outputs; the usual "LABEL_0" stand for none and may be fewer.
/// UnsupportedOption for a regression of several numbers.
void read_labels(const JsonValue& json, ModelConfig& config);
/// The same back; `padding` is the token that pads texts to the length of others, -1 for none. transformers takes the last
/// token that is not that one for the last of a text, where the head of a decoder is.
void write_labels(const ModelConfig& config, int32_t padding, nlohmann::json& json);

}  // namespace nib

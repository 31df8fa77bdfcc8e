// How other programs save the models of a family: the keys of config.json and the names of tensors, both ways. What is
// the same for all families is in hf_config, named_tensors, import and export.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>

#include "model/config.h"
#include "model/layouts.h"

namespace nib {

class JsonValue;

/// A size and the keys under which programs save it, in config.json and elsewhere: the first that is there counts, and nib
/// writes the first.
struct SizeKeys {
    int64_t ModelConfig::*size;
    std::array<const char*, 6> names;  // null after the last
    bool optional = false;             // where no file and no tensor says it, the family knows what is usual
};

/// What transformers calls such a model: `model_type`, and how its classes begin ("GPT2" of "GPT2LMHeadModel").
struct HfType {
    const char *model_type, *class_prefix;
};

/// A name for an activation that means something else in a family than in all others.
struct NamedAct {
    const char* name;
    Act act;
};

/// A class of transformers for models with some heads, by their names in nib; null after the last.
struct HfClass {
    const char* name;
    std::array<const char*, 2> heads;
    bool pooler;  // it has one
};

struct CheckpointFormat {
    std::span<const HfType> types;          // all that are computed alike; nib writes the first
    const char* model_class;                // that nib writes: "GPT2LMHeadModel"; null: one of `classes`
    std::span<const SizeKeys> sizes;        // ModelConfig::heads among them
    std::array<const char*, 2> eps_keys;    // of the norms' epsilon, as SizeKeys::names; none: it is the usual one
    const char* act_key;                    // of the activation's name
    std::span<const Act> acts;              // that such a model may have; the first is transformers' own
    std::span<const NamedAct> act_names{};  // names of the family's own, which nib writes
    std::span<const Layout> layouts;        // the first is transformers'
    /// Reads all else of a config.json that names one of `types` (or none: a file with such keys). The sizes in `config`
    /// are there already, the rest is Architecture::defaults. UnsupportedOption (model/hf_config.h) for what makes the
    /// model compute something that nib does not.
    void (*read)(const JsonValue& json, ModelConfig& config);
    /// The same back. Error for what transformers' class does not have.
    void (*write)(const ModelConfig& config, nlohmann::json& json);
    std::span<const HfClass> classes = {};  // where there are several, in place of model_class
};

}  // namespace nib

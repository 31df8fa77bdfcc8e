// nib eval of language models by prompts: classes and choices without training.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "core/backend.h"
#include "model/loaded_model.h"
#include "task/labelled_file.h"

namespace nib {

struct PromptOptions {
    std::string task;  // classify or choice
    int64_t shots = 0;
    std::string train;  // where the examples come from; empty: the file itself
    int64_t seed = 1337;
    std::string prompt;               // as of PromptForm, \n for a new line; empty: the usual one
    std::string label_names;          // "0=negative,1=positive"
    std::string normalize = "usual";  // none, tokens or unconditional; usual: none of classes, tokens of choices

    bool operator==(const PromptOptions&) const = default;
};

/// Declares --task, whose values are classify, choice and, of other measurements, qa, reward and dpo, and --shots, --train,
/// --seed, --prompt,
/// --label-names and --normalize.
void add_prompt_options(CLI::App& app, std::string& task, PromptOptions& options);

struct PromptData {
    const std::vector<std::string>& paths;
    const LabelColumns& columns;
    bool skip_bad = false;
};
/// Prints how often a model finds the right answer the most probable one after a prompt with some examples.
void eval_prompts(const PromptOptions& options, const PromptData& data, bool json, Backend& backend,
                  const LoadedModel& model);

}  // namespace nib

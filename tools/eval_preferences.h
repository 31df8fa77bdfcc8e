// nib eval of what is to tell better answers from worse ones: reward models, and policies beside their reference.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "core/backend.h"
#include "model/loaded_model.h"

namespace nib {

struct PreferenceEvalOptions {
    std::string reference;  // of dpo: the model that the training started from
    double beta = 0.1;      // of its loss

    bool operator==(const PreferenceEvalOptions&) const = default;
};

/// Declares --reference and --beta.
void add_preference_options(CLI::App& app, PreferenceEvalOptions& options);

struct PreferenceData {
    const std::vector<std::string>& paths;
    bool skip_bad = false;
};

/// Prints how often a reward model gives the better answers of files the higher scores, and by how much.
void eval_rewards(const PreferenceData& data, bool json, Backend& backend, const LoadedModel& model);
/// The same of what a policy's answers gain in log-probability over its reference's. Error when these two do not have the
/// same tokens.
void eval_dpo(const PreferenceData& data, const PreferenceEvalOptions& options, bool json, Backend& backend,
              const LoadedModel& model);

}  // namespace nib

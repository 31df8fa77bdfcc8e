// The keys and values that a command keeps of a text: for how many tokens, and as which type.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "infer/engine.h"
#include "model/loaded_model.h"

namespace nib {

struct CacheOptions {
    int64_t context = 0;  // tokens; 0: as many as the command thinks right
    std::string type = "f16";
};

/// Declares --context, whose default the help describes as `default_context`, and --cache.
void add_cache_options(CLI::App& app, CacheOptions& options, const std::string& default_context);

/// An engine for `texts` texts of --context tokens each, by default `default_context` or, if that is less, the model's
/// context. Error when --context is more than the model has or this machine lacks the memory.
std::unique_ptr<Engine> make_engine(Backend& backend, const LoadedModel& model, const CacheOptions& options, int64_t texts,
                                    int64_t default_context);

}  // namespace nib

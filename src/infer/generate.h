// Generates text: prompt in, text out as it comes.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/engine.h"
#include "infer/sampler.h"
#include "text/tokenizer.h"

namespace nib {

/// What a sample does when its context is full.
enum class Overflow {
    Half,   // drops the older half of its context, and evaluates the rest again
    Slide,  // sees the last tokens that fit at each step, all evaluated again, as in minGPT: slow
    Stop,   // ends
};

struct GenerateOptions {
    SamplerOptions sampler;
    Overflow overflow = Overflow::Half;
    int64_t count = 300;            // tokens of each sample, at most
    std::vector<std::string> stop;  // a sample ends before the first of these in its output
    std::vector<int32_t> ends;      // and at any of these tokens
    /// The first tokens of the prompt, fewer than it has, that slot 0 holds already and that are not evaluated again.
    int64_t cached = 0;
    /// Asked before each token and between parts of a long prompt; true ends all samples.
    std::function<bool()> cancelled{};
};

/// UsageError that names the first option which makes no sense. generate() checks them, too.
void check_options(const GenerateOptions& options);

struct GenerateResult {
    struct Sample {
        std::vector<int32_t> ids;  // generated
        bool stopped = false;      // by a stop string, or by an end token, which is the last of `ids` and not shown
        bool full = false;         // ended by a full context, with Overflow::Stop
    };
    std::vector<Sample> samples;
    int64_t prompt_tokens = 0;   // evaluated, at most the context without what was cached
    int64_t decoded_tokens = 0;  // of all samples, after the first of each
    double prompt_seconds = 0;   // until each sample had its first token
    double decode_seconds = 0;   // after that
};

/// Receives text that continues sample `sample`: whole UTF-8 characters, never empty.
using TextSink = std::function<void(size_t sample, std::string_view text)>;

/// Generates one sample in each slot of `engine`, which it empties first but for what is cached. The prompt has at least
/// one token; if it is longer than the context, only its end is read. Sample s does not depend on the number of samples, up
/// to rounding. If the prompt ends within a character, the text begins with that character. Error when options or the
/// prompt make no sense.
GenerateResult generate(Engine& engine, const Tokenizer& tokenizer, std::span<const int32_t> prompt,
                        const GenerateOptions& options, const TextSink& sink);

}  // namespace nib

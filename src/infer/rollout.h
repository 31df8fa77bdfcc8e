// Many texts written side by side, with the probabilities that their tokens had: what a policy is trained by.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "infer/engine.h"
#include "text/tokenizer.h"

namespace nib {

/// What a model wrote after a prompt.
struct Rollout {
    std::vector<int32_t> ids;  // with the token that ended it, if one did
    std::vector<float> logp;   // of each, in nats, given all before it
    bool ended = false;
};

struct RolloutOptions {
    int64_t longest = 64;               // tokens of each at most
    bool greedy = false;                // always the most probable token, instead of one drawn by its probability
    std::vector<int32_t> ends{};        // tokens that end a text
    uint64_t seed = 0;                  // with its number, draws the tokens of a text
    uint32_t first = 0;                 // the number of the first text
    std::function<bool()> cancelled{};  // asked before each step; true: all texts end where they are
    std::function<void(int64_t done)> progress{};  // how many texts are complete
};

/// A text for each prompt, as many at a time as the engine has slots; the next one takes the place of one that has ended.
/// Prompts that are equal and follow one another are read once. Ids without a token are never chosen. Error when a prompt
/// is empty, or longer than the context has room for with the longest text after it.
std::vector<Rollout> roll_out(Engine& engine, const Tokenizer& tokenizer, std::span<const std::vector<int32_t>> prompts,
                              const RolloutOptions& options);

}  // namespace nib

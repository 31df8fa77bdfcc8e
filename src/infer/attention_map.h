// The inside of a model while it reads one text: which tokens each head attends to, and what each layer would predict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/backend.h"
#include "infer/encoder.h"
#include "infer/probabilities.h"
#include "model/architecture.h"

namespace nib {

/// The weights of one attention in all layers.
struct AttentionMap {
    std::string name;                    // for people: "self-attention"
    std::vector<int32_t> queries, keys;  // (T), (S): the tokens that attend, and those they attend to
    int64_t layers = 0, heads = 0;       // L, H
    std::vector<float> weights;          // (L,H,T,S); each row is a distribution over the keys
};

/// What the model would predict if it ended after a layer: its last norm and its head applied to that layer's output
/// (nostalgebraist 2020, "the logit lens"). The last layer's are the model's own predictions.
struct LayerPredictions {
    std::string head;          // "lm": of the next token, "mlm": of the token itself; empty: the model has neither
    std::vector<int32_t> ids;  // (T): the tokens at which it predicts
    int64_t layers = 0;        // L
    size_t top = 0;            // k, at most the vocabulary
    std::vector<Ranked> best;  // (L,T,k), the most probable first
};

struct TextView {
    std::vector<AttentionMap> maps;
    LayerPredictions predictions;
};

/// The longest text that view_text() takes: what the context has room for and whose weights are few enough to hold and look
/// at.
int64_t longest_view(const ModelConfig& config);

/// Runs the model over a text of 1 to longest_view() tokens. `top`: how many predictions for each layer and token. Error
/// for wrong tokens and lengths.
TextView view_text(Backend& backend, const ModelConfig& config, const Weights& weights, const TextTokens& text, size_t top);

}  // namespace nib

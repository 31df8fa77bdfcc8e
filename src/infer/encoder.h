// Whole texts through a model: hidden states, embeddings, or the logits of a head.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/plan.h"
#include "model/architecture.h"
#include "model/token_inputs.h"

namespace nib {

/// The tokens of a text, and of two texts which segment each belongs to.
struct TextTokens {
    std::vector<int32_t> ids;       // (T), 1 to the model's context
    std::vector<int32_t> segments;  // (T); empty: all 0
};

/// A token of one of several texts.
struct TokenPlace {
    size_t text = 0;
    int64_t position = 0;
};

/// Runs texts of any lengths side by side, as many as a pass has rows for, the longest first: their tokens follow one
/// another and each sees only its own text, so that no padding is computed. Plans are compiled when they are first needed.
///
/// What a text's numbers are does not depend on the others to more than rounding. Wrong tokens, lengths and places throw
/// Error.
class SequenceEncoder {
public:
    /// `rows`: tokens in a pass, and of a text at most; 0: chosen. `backend` and `weights` must outlive the encoder.
    SequenceEncoder(Backend& backend, const ModelConfig& config, const Weights& weights, int64_t rows = 0);

    const Model& model() const { return *model_; }

    /// Calls sink(i, hidden states (T,C) of text i) for each text, in any order.
    using Sink = std::function<void(size_t text, std::span<const float> rows)>;
    void hidden(std::span<const TextTokens> texts, const Sink& sink);

    /// The embeddings (n,C) of n texts: their hidden states pooled and, with `normalize`, divided by their length.
    std::vector<float> embed(std::span<const TextTokens> texts, Pooling pooling, bool normalize);

    /// The logits (n,N) that a head gives at n places, in their order. Error when the model has no such head.
    std::vector<float> logits(std::string_view head, std::span<const TextTokens> texts, std::span<const TokenPlace> places);
    /// The log-probabilities in nats of tokens of texts, each given those before it in its text; places are not the first
    /// of a text. In the order of the places. Error when the model has no head `lm`.
    std::vector<float> log_probs(std::span<const TextTokens> texts, std::span<const TokenPlace> places);
    /// The places that a head works on: each text's first or last token, or all tokens of one text after the other.
    static std::vector<TokenPlace> places_of(const Head& head, std::span<const TextTokens> texts);

private:
    // A plan for up to R rows.
    struct Pass {
        int64_t rows = 0;    // R
        const Head* head;    // null: hidden states
        bool scores;         // of given targets: log-probabilities instead of logits
        int64_t wanted = 0;  // N: rows of which a head gives something
        Plan plan;
        TokenInputs tokens;
        Tensor spans;            // input (1,R,2): the rows of each row's text
        Tensor places, targets;  // inputs (N), (1,N)
        Tensor out;              // (1,R,C), (1,N,outputs), or (1,N)
    };
    // Texts of a pass, and the first row of each.
    struct Group {
        std::vector<size_t> texts;
        std::vector<int64_t> begin;
        int64_t rows = 0;
    };

    std::vector<Group> groups(std::span<const TextTokens> texts) const;
    Pass& pass_for(const Head* head, bool scores, int64_t rows);
    void compile_pass(Pass& pass);
    void set(Pass& pass, std::span<const TextTokens> texts, const Group& group);
    void run(const Pass& pass, int64_t rows, int64_t wanted) const;
    std::vector<float> at_places(const Head& head, bool scores, std::span<const TextTokens> texts,
                                 std::span<const TokenPlace> places);

    Backend& backend_;
    const ModelConfig config_;
    const Weights& weights_;
    const std::unique_ptr<Model> model_;
    const int64_t rows_;  // of the largest pass
    std::vector<std::unique_ptr<Pass>> passes_;
    std::vector<int32_t> ids_, positions_, segments_, spans_;  // inputs of a pass
};

/// One vector (C) of a text's hidden states (T,C). Error for Pooling::None.
void pool(std::span<const float> rows, Pooling pooling, bool normalize, std::span<float> out);

}  // namespace nib

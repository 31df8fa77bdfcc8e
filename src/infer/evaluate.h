// How well a model predicts a text.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "core/plan.h"
#include "infer/engine.h"
#include "model/architecture.h"
#include "model/token_inputs.h"

namespace nib {

/// Sums over predicted tokens.
struct Evaluation {
    int64_t tokens = 0;
    double loss_sum = 0;  // cross-entropy in nats
    int64_t correct = 0;  // tokens that were the most probable ones
    double loss() const { return loss_sum / static_cast<double>(tokens); }
    double accuracy() const { return static_cast<double>(correct) / static_cast<double>(tokens); }
};

/// What an encoder reads and what the decoder is to write then, both with the tokens that end them.
struct TokenPair {
    std::vector<int32_t> source, target;
};

inline constexpr int64_t kPairRows = 128;  // that evaluate_pairs() wants the logits of in one step

/// How well a model with an encoder predicts targets after reading their sources, with `start` before each. As many pairs
/// as the engine has slots are run side by side, each with a source of its own. `logp`, where it is given, gets the
/// log-probability of each token. Error for texts that are longer than the engine's context, and for empty ones.
Evaluation evaluate_pairs(Engine& engine, std::span<const TokenPair> pairs, int32_t start,
                          std::vector<double>* logp = nullptr);

struct EvaluationOptions {
    int64_t batch = 0;   // windows at a time; 0: chosen
    int64_t stride = 0;  // tokens from one window to the next, at most the context; 0: windows end to end
    double memory = std::numeric_limits<double>::infinity();  // bytes that may be used
};

/// Runs a model over a text in windows of its context. Without a stride they lie end to end: each predicts tokens 1..T
/// after its first from those before them in the window, so that every token of the text but the first is predicted exactly
/// once.
///
/// With a stride, they are those of Hugging Face's guide to perplexity: T tokens, each window `stride` tokens after the
/// last. Only what was not predicted before counts, the last `stride` tokens of each. With a stride of T, the first token
/// of every window is not predicted at all.
///
/// Texts are measured separately: no window reaches from one into the next.
class Evaluator {
public:
    /// For texts that end at these numbers of tokens, counted from the beginning of the first; each has 2 at least.
    /// `weights` must outlive it. Error when an option makes no sense or more memory is needed than allowed.
    Evaluator(Backend& backend, const ModelConfig& config, const Weights& weights, std::vector<int64_t> ends,
              const EvaluationOptions& options = {});

    /// Reads tokens [begin, begin + ids.size()) of the texts.
    using Reader = std::function<void(int64_t begin, std::span<int32_t> ids)>;
    /// Called now and then with the sums so far.
    using Progress = std::function<void(const Evaluation& so_far)>;
    Evaluation run(const Reader& read, const Progress& progress = {});

private:
    struct Window {
        size_t text = 0;
        int64_t begin = 0, at = 0;  // first token of the text; of the window, within the text
    };
    int64_t size(const Window& w) const { return ends_[w.text] - w.begin; }  // of its text
    bool next(Window& w) const;
    int64_t windows(int64_t most) const;
    void read_window(const Reader& read, const Window& w, std::span<int32_t> ids, std::span<int32_t> targets) const;

    std::vector<int64_t> ends_;
    int64_t vocab_;
    int64_t time_;  // T: tokens that a window predicts others from, or one less with a stride
    int64_t step_;  // from one window to the next
    int64_t batch_;
    Plan plan_;
    TokenInputs inputs_;
    std::vector<int32_t> positions_;  // (B*T)
    Tensor targets_;                  // input (B,T)
    Graph::LogProbs scores_;
};

}  // namespace nib

// Runs a model: rows of tokens in, logits out, with a cache of keys and values for each text.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/plan.h"
#include "model/architecture.h"
#include "model/token_inputs.h"

namespace nib {

/// A token to evaluate: its slot and position, and whether the logits after it are wanted.
struct EngineRow {
    int32_t token = 0;
    int32_t slot = 0;
    int64_t position = 0;  // from 0, in its slot
    bool logits = false;
};

/// A text for an encoder to read, 1 to source_context() tokens.
struct EngineSource {
    int64_t source = 0;  // number, below EngineOptions::sources
    std::span<const int32_t> tokens;
};

struct EngineOptions {
    int64_t slots = 1;              // texts in the cache at the same time
    int64_t context = 0;            // tokens of each at most. 0: as many as the model's context
    DType cache_type = DType::F32;  // of keys and values, F32 or F16
    int64_t sources = 0;            // of models with an encoder: texts to attend to at the same time. 0: as many as slots
    int64_t source_context = 0;     // tokens of each at most; 0: as many as the model's context
    int64_t logit_rows = 0;         // rows with logits in one pass; more take several passes. 0: as many as slots
};

/// A model with a cache of N slots, each with room for one text of context() tokens. step() takes rows of any slots: the
/// prompt of one text, the newest tokens of others. Plans are compiled on first use or by prepare(); after that, a step of
/// at most `slots` rows with logits allocates nothing, nor does encode().
///
/// A model with an encoder reads sources, too: each slot attends to one of them, slot i to source i unless attend() says
/// otherwise, so that several slots can write from one source.
///
/// Wrong rows, slots and positions throw Error before anything changes.
class Engine {
public:
    /// `backend` and `weights` must outlive the engine. Error when there is not enough memory.
    Engine(Backend& backend, const ModelConfig& config, const Weights& weights, const EngineOptions& options = {});
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Bytes of the keys and values of all slots and, of models with an encoder, sources. Error for options that make no
    /// sense.
    static double cache_bytes(const ModelConfig& config, const EngineOptions& options);

    int64_t slots() const { return options_.slots; }
    int64_t context() const { return options_.context; }
    /// Tokens that a source may have.
    int64_t source_context() const { return options_.source_context; }
    int64_t vocab() const { return config_.vocab; }
    /// Tokens in a slot.
    int64_t length(int64_t slot) const;

    /// Reads sources, and empties the slots that attend to them. Error for models without an encoder.
    void encode(std::span<const EngineSource> sources);
    void encode(int64_t source, std::span<const int32_t> tokens) {
        const EngineSource one{source, tokens};
        encode({&one, 1});
    }
    /// Empties a slot, which attends to source number `source` from now on.
    void attend(int64_t slot, int64_t source);

    /// Compiles the plans that a step of this many rows needs.
    void prepare(int64_t rows);

    /// Evaluates rows and returns the logits (n,V) of the n that want them, in the order of the rows; valid until the next
    /// step. A row sees the tokens before it in its slot and itself. Rows of one slot are in order of position, without
    /// gaps, and the first is at most at length(slot); if it is below, the slot is truncated there.
    std::span<const float> step(std::span<const EngineRow> rows);
    /// Appends tokens (one at least) to a slot; the logits (V) after the last of them.
    std::span<const float> append(int64_t slot, std::span<const int32_t> tokens);

    /// Replaces the contents of slot `to` by the first `count` tokens of slot `from`; it attends to the same source then.
    void copy(int64_t from, int64_t to, int64_t count);
    /// Drops the tokens of a slot from position `length` on.
    void truncate(int64_t slot, int64_t length);
    /// Empties all slots.
    void reset() { lengths_.assign(lengths_.size(), 0); }

private:
    // A plan for up to `rows` rows, of which up to `logit_rows` want logits.
    struct Pass {
        int64_t rows = 0, logit_rows = 0;  // R, L
        Plan plan;
        TokenInputs tokens;
        Tensor slots, spans;           // inputs (1,R), (1,R,2)
        Tensor sources, source_spans;  // the same, of models with an encoder
        Tensor wanted;                 // input (L): indices of the rows that want logits; a plan of one row has none
        Tensor logits;                 // (1,L,V)
    };

    // The plan that reads sources, one behind the other.
    struct SourcePass {
        int64_t rows = 0;  // R
        Plan plan;
        TokenInputs tokens;
        Tensor sources, spans;                                            // inputs (1,R), (1,R,2)
        std::vector<int32_t> ids, positions, source_values, span_values;  // of the inputs
    };

    Location cache(int64_t layer, bool values) const;
    std::vector<KvCache> caches(int64_t first, int64_t count, int64_t rows) const;
    std::vector<KvCache> source_caches() const { return caches(config_.layers, options_.sources, source_context()); }
    void compile_source_pass();
    void check_source(int64_t source) const;
    size_t encode_some(std::span<const EngineSource> sources);
    void check_slot(int64_t slot) const;
    void check_rows(std::span<const EngineRow> rows);
    void compile_pass(Pass& pass);
    Pass& pass_for(size_t rows);
    size_t run(Pass& pass, std::span<const EngineRow> rows, std::span<float>& logits);

    Backend& backend_;
    const ModelConfig config_;
    const EngineOptions options_;
    const std::unique_ptr<Model> model_;
    const Weights& weights_;
    std::vector<size_t>
        cache_offsets_;  // of the keys (N,G,S,D) of layer 0, its values, the keys of layer 1 ... and so for sources
    int cache_buffer_ = -1;
    std::vector<Pass> passes_;  // by number of rows
    SourcePass source_pass_;
    std::vector<int64_t> source_lengths_;  // by source; 0: nothing was read
    std::vector<int64_t> source_of_;       // by slot
    std::vector<int64_t> lengths_;         // by slot
    std::vector<int64_t> next_;            // by slot, within a step: the position of its next row; -1: no row yet
    std::vector<EngineRow> appended_;      // by append()
    std::vector<Copy> copies_;             // by copy()
    std::vector<float> logits_;            // (n,V), for the caller
    std::vector<int32_t> ids_, slots_, positions_, spans_, wanted_;  // inputs of a pass
    std::vector<int32_t> sources_, source_spans_;
};

}  // namespace nib

// A model running: key/value cache, prefill and decode plans.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/plan.h"
#include "model/architecture.h"
#include "model/token_inputs.h"

namespace nib {

/// One or more sequences of the same length that a model continues token by token. Plans are compiled when they are first
/// needed, or prepared for; after that a token allocates nothing.
class Session {
public:
    /// `backend` and `weights` must outlive the session. Keys and values are kept as `cache_type`, F32 or F16. Error when
    /// there is not enough memory.
    Session(Backend& backend, const ModelConfig& config, const Weights& weights, int64_t sequences = 1,
            DType cache_type = DType::F32);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Bytes of key/value cache that `sequences` sequences take.
    static double cache_bytes(const ModelConfig& config, int64_t sequences, DType cache_type = DType::F32);

    int64_t sequences() const { return sequences_; }
    int64_t context() const { return config_.context; }
    int64_t vocab() const { return config_.vocab; }
    /// Tokens in each sequence, at most context().
    int64_t position() const { return position_; }
    /// Empties all sequences.
    void reset() { position_ = 0; }

    /// Compiles what prefill() of that many tokens needs, or decode().
    void prepare_prefill(int64_t tokens);
    void prepare_decode();

    /// Appends tokens (one at least) to sequence 0 and returns the logits (V) after the last one. The other sequences do
    /// not have these tokens until copy_to() gives them.
    std::span<const float> prefill(std::span<const int32_t> ids);
    /// Makes `sequence` the same as sequence 0.
    void copy_to(int64_t sequence);
    /// Appends one token to each sequence and returns the logits (B,V) after it.
    std::span<const float> decode(std::span<const int32_t> ids);

    /// Appends tokens to sequence 0 like prefill() and gives the logits after each, some rows (n,V) at a time.
    void all_logits(std::span<const int32_t> ids, const std::function<void(std::span<const float>)>& rows);

private:
    // Inputs of a plan: tokens, each of a sequence and at a position in it.
    class Rows {
    public:
        Rows() = default;
        Rows(Graph& g, const ModelConfig& config, int64_t count);
        CacheInputs cache(const std::vector<KvCache>& layers) const { return {layers, slots, spans}; }
        void put(int64_t row, int32_t id, int64_t slot, int64_t position);
        void upload(const Plan& plan);

        TokenInputs tokens;

    private:
        Tensor slots, spans;  // (1,R), (1,R,2)
        std::vector<int32_t> ids_, slots_, positions_, spans_;
    };

    // T tokens of sequence 0. The head has plans of its own, because most rows do not need it.
    struct Chunk {
        int64_t size = 0;  // T
        Plan body, last_head, all_heads;
        Rows rows;
        Tensor last;                     // input (1): the number of the row that last_head takes
        Tensor hidden, last_hidden;      // (1,T,C), (1,1,C)
        Tensor last_logits, all_logits;  // (1,1,V), (1,T,V)
    };
    struct Decode {
        Plan plan;
        Rows rows;
        Tensor logits;  // (1,B,V)
    };

    Location cache(int64_t layer, bool values) const;
    std::vector<KvCache> caches() const;
    void check_room(std::span<const int32_t> ids, int64_t tokens) const;
    void compile_body(Chunk& chunk);
    Chunk& compiled(Chunk& chunk);
    Chunk& prefill_chunk(int64_t left) { return compiled(left > small_.size ? large_ : small_); }
    bool is_decode(int64_t tokens) const { return tokens == 1 && sequences_ == 1; }
    Plan compile_head(Location hidden, int64_t rows, Tensor& logits);
    void run_body(Chunk& chunk, std::span<const int32_t> ids);

    Backend& backend_;
    const ModelConfig config_;
    const std::unique_ptr<Model> model_;
    const Weights& weights_;
    const int64_t sequences_;  // B
    const DType cache_type_;
    int64_t position_ = 0;
    std::vector<size_t> cache_offsets_;  // of the keys (B,H,S,D) of layer 0, its values, the keys of layer 1 ...
    int cache_buffer_ = -1;
    Chunk small_, medium_, large_;
    Decode decode_;
    std::vector<float> logits_;       // (B,V), for the caller
    std::vector<std::byte> staging_;  // one head's keys or values, on their way to another sequence
};

}  // namespace nib

// Recording a model: each call is one fused kernel. The same model function records training, prefill and decode;
// compile() (core/plan.h) turns the recorded graph into a plan that is replayed every step.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/op_table.h"
#include "core/tensor.h"

namespace nib {

enum class Mode { Infer, Train };

/// A parameter of a model: where its values are stored and, in training, where its gradient goes.
struct Weight {
    std::string name;  // GGUF tensor name
    Shape shape;
    DType type = DType::F32;
    Location value;
    Location gradient;    // where it is stored; nowhere: it is an intermediate like any other
    bool trained = true;  // false: frozen, it gets no gradient
    explicit operator bool() const { return value.buffer >= 0; }
};

struct NormWeights {
    Weight gain, bias;  // (C); no bias: absent
    float eps = 1e-5f;
    bool rms = false;  // root mean square norm instead of layer norm
};

/// Low-rank adaptation of a linear layer (Hu et al. 2021): its product gets scale (dropout(x) a^T) b^T added.
struct Adapter {
    Weight a, b;  // (r,C), (N,r)
    float scale = 1;
    float dropout = 0;
};

struct LinearWeights {
    Weight w, b;                      // (N,C), (N); no bias: absent
    std::vector<Adapter> adapters{};  // not of output heads
};

/// What `linear` does to its product before it is stored: y = residual + dropout(act(x w^T + b)).
struct Epilogue {
    Act act = Act::None;
    Tensor residual{};
    float dropout = 0;
    bool floats = false;  // see Graph::norm
};

/// Row numbers of the embedding tables: tokens, and positions and segments where the model has them.
struct EmbedInputs {
    Tensor ids, positions{}, segments{};  // (B,T) int32
    Tensor position_table{};              // (S,C), of positions that are computed; none: those of EmbedWeights
};
struct EmbedWeights {
    Weight tokens, positions{}, segments{};  // (V,C), (S,C), (L,C)
};

/// Queries, keys and values; each may be a slice of the columns of a wider tensor.
struct Qkv {
    Tensor q, k, v;  // (B,T,H*D), (B,S,G*D), (B,S,G*D)
};

/// A query sees an interval of its sequence's keys: those that `causal`, `window` and `spans` all allow.
struct AttentionOptions {
    int64_t heads = 0;     // H
    int64_t kv_heads = 0;  // G, divides H; 0: H
    bool causal = true;    // query t sees keys 0 to t
    int64_t window = 0;    // and of those the last `window`; 0: all
    float scale = 0;       // of the scores; 0: 1 / sqrt(D)
    float dropout = 0;     // of the weights
    Tensor spans{};        // (B,T,2) int32: first and last + 1 key of each query, neither ever decreasing in a sequence
};

/// Keys and values of one layer, which outlive the plan: (slots,G,S,D) each, F32 or F16.
struct KvCache {
    Location keys, values;
    DType type = DType::F32;
    int64_t slots = 0, kv_heads = 0, rows = 0, head_size = 0;  // N, G, S, D
    Shape shape() const { return {slots, kv_heads, rows, head_size}; }
};

/// Rotates pairs of a head's elements by angles that the host computes for each row (model/rope.h).
struct RopeOptions {
    int64_t heads = 0;         // how many heads are rotated, from the first on: H + G of a fused qkv
    int64_t head_size = 0;     // D
    bool interleaved = false;  // pairs are (2i, 2i + 1), not (i, i + half)
};

/// Index into Step::rows, the numbers of rows in use; -1: all rows are in use.
using RowCount = int8_t;

struct TensorInfo {
    Shape shape;
    DType type = DType::F32;
    Location where;  // set for tensors at a fixed place; compile() sets it for the others
    int base = -1;   // a view into tensor `base`, view_offset bytes in
    size_t view_offset = 0;
    int64_t stride = 0;       // elements from row to row, for a slice of columns; 0: rows are contiguous
    RowCount row_count = -1;  // how many of its rows (B,T) a step uses
    bool persistent = false;  // its memory is never reused: inputs, and results that are read after the run
    std::string name;         // weights and inputs: for messages
    /// From its first element to its last.
    size_t bytes() const;
};

struct Node {
    Op op = Op::Count;
    Params p;
    std::array<Tensor, kMaxOperands> operands;  // numbered as in `operand`
    std::array<DType, kMaxOperands> types{};
    std::array<int64_t, kMaxOperands> strides{};  // TensorInfo::stride
    RowCount row_count = -1, key_row_count = -1;
    uint8_t accumulate = 0;       // bit i: output kMaxIn + i: +=
    bool new_stage = false;       // the scheduler must not join it to what came before
    bool differentiated = false;  // its backward nodes are recorded already
    bool computes_again = false;  // the gradient of its weight takes Graph::computed_again(x)
    Tensor operator[](int operand) const { return operands[static_cast<size_t>(operand)]; }
    std::span<const Tensor> inputs() const { return std::span(operands).first(kMaxIn); }
    std::span<const Tensor> outputs() const { return std::span(operands).last(kMaxOut); }
    /// Whether any of its activations is F16.
    bool has_f16_activation() const;
};

/// Wrong use (shapes that do not fit, a tensor of another graph, an operation of the other mode) throws Error.
class Graph {
public:
    /// `activations`: what norm, attention and linear without residual give, F32 or F16; the residual stream, losses and
    /// all gradients are F32.
    explicit Graph(Mode mode, DType activations = DType::F32);

    Mode mode() const { return mode_; }

    /// A new row count: that entry of Step::rows says how many rows (B,T) of the tensors made with it are in use.
    RowCount add_row_count();
    /// A tensor that the host fills before a run: ids, targets, positions.
    Tensor input(const char* name, Shape shape, DType type, RowCount row_count = -1);
    /// Requests the gradient of an input; inputs have none otherwise.
    void want_gradient(Tensor input) { wants_gradient_[number(input)] = true; }
    /// Keeps `t` readable after the run.
    Tensor output(Tensor t);

    /// dropout(scale tokens[ids] + positions[positions] + segments[segments]) (B,T,C).
    Tensor embed(const EmbedInputs& inputs, const EmbedWeights& weights, float dropout = 0, float scale = 1);
    /// Layer norm (Ba, Kiros, Hinton 2016) or RMS norm (Zhang, Sennrich 2019) over the last dimension: (B,T,C) -> (B,T,C).
    /// `floats`: F32 even if other activations are F16, for what is added to later or goes into another norm.
    Tensor norm(Tensor x, const NormWeights& w, bool floats = false);
    /// residual + dropout(act(x w^T + b + what adapters add)): (B,T,C) -> (B,T,N).
    Tensor linear(Tensor x, const LinearWeights& w, const Epilogue& epilogue = {});
    /// act(gate) up (Shazeer 2020): (B,T,C), (B,T,C) -> (B,T,C).
    Tensor glu(Tensor gate, Tensor up, Act act);
    /// A view of columns [first, first + count) of a tensor (B,T,C): (B,T,count).
    Tensor columns(Tensor t, int64_t first, int64_t count);
    /// The three parts of a fused (B,T,(H + 2 G) D).
    Qkv split_qkv(Tensor qkv, int64_t heads, int64_t kv_heads);
    /// Rotary positions (Su et al. 2021), in place: x (B,T,C); rotation (B,T,2 n): n cosines, then n sines for the pairs of
    /// each head's first 2 n numbers.
    Tensor rope(Tensor x, Tensor rotation, const RopeOptions& options);
    /// Scaled dot-product attention (Vaswani et al. 2017) within each of the B sequences: (B,T,H*D).
    Tensor attention(const Qkv& qkv, const AttentionOptions& options);
    /// The same with its weights (B,H,T,S), without dropout.
    struct Attended {
        Tensor y, weights;
    };
    Attended attention_with_weights(const Qkv& qkv, const AttentionOptions& options);
    /// Stores row r of k and v (B,T,G*D) at positions[r] of slot slots[r]. Inference only.
    void store(const KvCache& cache, Tensor k, Tensor v, Tensor slots, Tensor positions);
    /// Attention of row r of q (B,T,H*D) to keys spans[r] of slot slots[r]; options.spans is that. Inference only.
    Tensor attention_cached(Tensor q, const KvCache& cache, Tensor slots, const AttentionOptions& options);
    /// Rows of x (B,T,C) by number: rows (N) int32 -> (1,N,C), of which `row_count` are in use.
    Tensor gather(Tensor x, Tensor rows, RowCount row_count = -1);
    /// The mean of each text's rows: x (B,T,C), texts (N,2) int32 -> (1,N,C), of which `row_count` are in use. A text has
    /// its first and its last + 1 of the B*T rows; it begins where the one before it ends, or later. Without rows, its mean
    /// is 0.
    Tensor mean_rows(Tensor x, Tensor texts, RowCount row_count = -1);
    /// x / max(|x|, 1e-12) for each row: (B,T,C) -> (B,T,C).
    Tensor normalize(Tensor x);
    /// scale a b^T: (B,T,C), (1,N,C) -> (B,T,N). The columns of rows of b that are not in use are -infinity.
    Tensor similarity(Tensor a, Tensor b, float scale = 1);

    /// What a language model's head predicts for each row's target; 0 where the target is kIgnore.
    struct LogProbs {
        Tensor logp;       // (B,T) log-probability of the target in nats
        Tensor predicted;  // (B,T) int32, the most probable token; Infer only
        Tensor entropy{};  // (B,T) of the distribution in nats, if asked for
    };
    /// Output head (V,C) and log-softmax over chunks of rows, so that the logits of all rows never exist at once. In
    /// training it is a loss: the sum over rows of -Step::loss_scale weights[r] logp[r] is part of what is differentiated,
    /// and the gradient goes on to x and to the head at once. Without weights (B,T) every row has 1. With label smoothing
    /// (Szegedy et al. 2016), logp is the mean of all tokens' log-probabilities, of which the target's has the share
    /// 1 - smoothing more than the others'.
    LogProbs cross_entropy(Tensor x, const LinearWeights& head, Tensor targets, Tensor weights = {}, float smoothing = 0);
    /// The same for losses built from logp: an op that reads it gives it a gradient, and the backward pass computes the
    /// logits of each chunk again. The same goes for the entropy.
    LogProbs log_probs(Tensor x, const LinearWeights& head, Tensor targets, bool entropy = false);
    /// The cross-entropy of softmax(scale a b^T) over the rows of b, of which targets (B,T) says the right one, or kIgnore:
    /// a (B,T,C), b (1,N,C). With vectors of length 1 this is the loss of contrastive learning with the other texts of the
    /// batch as negatives (Henderson et al. 2017; InfoNCE, van den Oord et al. 2018), the temperature being 1 / scale. In
    /// training it is a loss as that of cross_entropy().
    LogProbs contrastive_loss(Tensor a, Tensor b, float scale, Tensor targets, Tensor weights = {});

    /// What a head says of each row in numbers, and how far off they are; 0 where a row's first target is NaN.
    struct Values {
        Tensor loss;    // (B,T) mean over N
        Tensor values;  // (B,T,N); Infer only
    };
    /// values = x w^T + b, and the mean over N of (v - t)^2 or, if `binary`, of the cross-entropy of sigmoid(v) and t. In
    /// training the sum over rows of Step::loss_scale weights[r] loss[r] is part of what is differentiated; targets
    /// (B,T,N) and weights (B,T) are F32, and without weights every row has 1. With `old` (B,T,N), values from before the
    /// update, the squared error is max((v - t)^2, (min(max(v, old - clip), old + clip) - t)^2): the value clipping of PPO
    /// as OpenAI Baselines has it.
    Values value_loss(Tensor x, const LinearWeights& head, Tensor targets, Tensor weights, bool binary, Tensor old = {},
                      float clip = 0);

    /// What is known of each row's token beside its log-probability: (B,T) each, F32.
    struct PolicyInputs {
        Tensor advantages, weights;
        Tensor old{};        // its log-probability when it was sampled; none: REINFORCE
        Tensor reference{};  // its log-probability by the reference model; only with PolicyOptions::kl
    };
    struct PolicyOptions {
        float clip_low = 0.2f, clip_high = 0.2f;  // the ratio counts from 1 - clip_low to 1 + clip_high
        float kl = 0;                             // weight of the divergence from the reference
        float entropy = 0;                        // weight of the entropy, which scores must have
    };
    /// The loss (B,T) of a policy: weights[r] times
    ///   -min(ratio A, clip(ratio) A) + kl (e^d - d - 1) - entropy H
    /// with ratio = exp(logp - old) and d = reference - logp (PPO, Schulman et al. 2017; GRPO, Shao et al. 2024); without
    /// old the first term is -A logp (Williams 1992). Exactly 0 where the weight is 0, whatever the other inputs. In
    /// training the sum of Step::loss_scale loss[r] is part of what is differentiated, by logp and the entropy.
    Tensor policy_loss(const LogProbs& scores, const PolicyInputs& in, const PolicyOptions& options);

    struct PreferenceOptions {
        Preference kind = Preference::Sigmoid;
        float beta = 1;
        float smoothing = 0;  // of Sigmoid, below 0.5: how probable it is that a pair is the wrong way round
    };
    /// The loss (B,T) of pairs of scores, [chosen, rejected]: scores, scales, offsets (B,T,2). By kind it
    /// is, with the margin m = g[0] - g[1] of g = scales scores - offsets,
    ///   Sigmoid  -(1 - smoothing) log sigmoid(beta m) - smoothing log sigmoid(-beta m)
    ///   Hinge    max(0, 1 - beta m)
    ///   Ipo      (m - 1 / (2 beta))^2
    /// (Bradley, Terry 1952; Rafailov et al. 2023; Zhao et al. 2023; Azar et al. 2023). Of a pair whose first offset is NaN
    /// loss and gradient are 0. In training the sum of Step::loss_scale loss[r] is part of what is differentiated.
    Tensor preference_loss(Tensor scores, Tensor scales, Tensor offsets, const PreferenceOptions& options);

    /// Where in each of N texts a head sees the first and the last row of an answer.
    struct SpanLogProbs {
        Tensor logp;    // (1,N) mean of the log-probabilities of both ends in nats; 0 of a text that does not count
        Tensor logits;  // (B,T,2); Infer only
    };
    /// logits = x w^T + b of a head (2,C), and for each text (see mean_rows) the softmax of each of their columns over the
    /// text's rows (Devlin et al. 2019). targets (N,2) int32 are the rows that the answer begins and ends with; a text
    /// counts if both are among its rows. In training the sum of -Step::loss_scale logp[n] is part of what is
    /// differentiated. `row_count`: how many of the N are in use.
    SpanLogProbs span_loss(Tensor x, const LinearWeights& head, Tensor texts, Tensor targets, RowCount row_count = -1);

    const TensorInfo& info(Tensor t) const { return tensors_[number(t)]; }
    const std::vector<TensorInfo>& tensors() const { return tensors_; }
    const std::vector<Node>& nodes() const { return nodes_; }
    /// Floating-point operations of its matrix products, with all rows in use.
    double flops() const;

    /// Begins a block, which ends at the next call. With recomputation (Chen et al. 2016) only the inputs of a block are
    /// kept for the backward pass, which computes the rest again.
    void begin_block() { blocks_.push_back(nodes_.size()); }
    /// Appends the backward nodes of all nodes recorded so far (Train, after the losses).
    void record_backward(bool recompute = false);

    // For the gradient rules (core/gradients.cpp) and for tests and optimizers, which place their own nodes:

    /// A new intermediate tensor.
    Tensor make(Shape shape, DType type = DType::F32, RowCount row_count = -1);
    /// A new intermediate with the shape, type and row count of another tensor.
    Tensor make_like(Tensor t) { return make(info(t).shape, info(t).type, info(t).row_count); }
    /// A view of `t` from byte `offset` on, with another shape. It has t's row count if its rows (B,T) are rows of t or
    /// parts of those; else all of them are in use. What a view of all of t gets as gradient, t gets.
    Tensor view(Tensor t, Shape shape, size_t offset);
    /// A tensor at a fixed place. The same place gives the same handle.
    Tensor fixed(std::string name, Shape shape, DType type, Location where, RowCount row_count = -1);
    Tensor weight(const Weight& w);
    /// Adds a node after checking its operands against the op's row: their number, shapes and types. Dimensions that p does
    /// not have yet are taken from them. Absent operands are left out or {}.
    Node& add(Op op, const Params& p, std::initializer_list<Tensor> in, std::initializer_list<Tensor> out);
    /// The gradient tensor of t. `adds`: another node has already written to it, so the caller must accumulate.
    struct Gradient {
        Tensor tensor;
        bool adds = false;
    };
    Gradient gradient(Tensor t);
    /// The same if t wants a gradient, else nothing.
    Gradient gradient_if_wanted(Tensor t) { return wants_gradient(t) ? gradient(t) : Gradient{}; }
    bool has_gradient(Tensor t) const { return static_cast<bool>(gradients_[number(t)]); }
    /// Whether t depends on a trained weight.
    bool wants_gradient(Tensor t) const { return t && wants_gradient_[number(t)]; }
    /// t, or the same numbers computed again where that is cheap from what is in memory for other gradients: by a norm, a
    /// gate, an activation or dropout. Then t itself need not be kept.
    Tensor computed_again(Tensor t);
    /// Makes `gradient` the gradient of t, which must not have one.
    void set_gradient(Tensor t, Tensor gradient);
    /// Sets which outputs the last node adds to.
    void accumulate(std::initializer_list<Gradient> outputs);

private:
    size_t number(Tensor t) const;
    void require_inference(const char* what) const;
    uint32_t dropout_threshold(float probability) const;
    Tensor product(Tensor x, const Weight& w, const Weight& b, Tensor residual, DType type);
    Tensor linear_with_adapters(Tensor x, const LinearWeights& w, const Epilogue& epilogue);
    Tensor adapt(Tensor x, const Adapter& adapter, Tensor sum);
    Tensor shape_product(Tensor pre, const Params& p, Tensor residual, DType type);
    Params attention_params(const Qkv& qkv, const AttentionOptions& options);
    struct HeadUse {
        Tensor weights{};
        float smoothing = 0;
        bool is_loss = false, entropy = false;
    };
    LogProbs head(Tensor x, const LinearWeights& head, Tensor targets, const HeadUse& use);
    bool is_all_of_base(Tensor t) const;
    Tensor gradient_in_place(Tensor t);
    Tensor gradient_of_its_own(Tensor t);
    std::vector<Node> record_again(size_t begin, size_t end);

    Mode mode_;
    DType activations_;
    uint32_t streams_ = 0;
    int row_counts_ = 0;
    std::vector<TensorInfo> tensors_;
    std::vector<Node> nodes_;
    std::vector<size_t> blocks_;  // the first node of each block
    std::map<Location, Tensor> fixed_;
    std::vector<bool> wants_gradient_;        // by tensor id
    std::vector<Tensor> gradients_;           // by tensor id
    std::vector<Location> weight_gradients_;  // by tensor id; where a weight's gradient is stored
    std::vector<bool> gradient_is_whole_;     // by tensor id: all of its gradient has been written, not just that of views
    std::map<int, Tensor> again_;             // by tensor id: what computed_again() has recorded
    std::map<size_t, std::function<void()>> when_reached_;  // by node: what record_backward() records there
};

}  // namespace nib

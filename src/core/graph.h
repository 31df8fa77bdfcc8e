// Recording a model: one call, one fused kernel. The same model function records training, prefill and decode; compile()
// (core/plan.h) turns the record into a plan that is replayed every step.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/op.h"
#include "core/tensor.h"

namespace nib {

enum class Mode { Infer, Train };

/// A parameter of a model: where its values lie and, in training, where its gradient goes.
struct Weight {
    std::string name;  // GGUF tensor name
    Shape shape;
    DType type = DType::F32;
    Location value;
    Location gradient;
    explicit operator bool() const { return value.buffer >= 0; }
};

struct NormWeights {
    Weight gain, bias;  // (C); no bias: absent
    float eps = 1e-5f;
};

struct LinearWeights {
    Weight w, b;  // (N,C), (N); no bias: absent
};

/// What `linear` does to its product before it is stored: y = residual + dropout(act(x w^T + b)).
struct Epilogue {
    Act act = Act::None;
    Tensor residual{};
    float dropout = 0;
};

/// Key/value cache of one layer: tensors (B,H,S,C/H) of F32 or F16 that outlive the plan.
struct KvCache {
    Location keys, values;
    DType type = DType::F32;
    int64_t capacity = 0;  // S
};

struct TensorInfo {
    Shape shape;
    DType type = DType::F32;
    Location where;  // fixed place; compile() fills it for the others
    int base = -1;   // a view into tensor `base`, view_offset bytes in
    size_t view_offset = 0;
    bool kept = false;  // its memory is never reused: inputs, and results that are read after the run
    std::string name;   // weights and inputs: for messages
    size_t bytes() const { return dtype_bytes(type, shape.elements()); }
};

struct Node {
    Op op = Op::Count;
    Params p;
    std::array<Tensor, kMaxIn> in;
    std::array<Tensor, kMaxOut> out;
    uint8_t accumulate = 0;       // bit i: out[i] +=
    uint8_t halves = 0;           // bit i: in[i], bit kMaxIn + i: out[i] is an activation of half floats
    bool new_stage = false;       // the scheduler must not join it to what came before
    bool differentiated = false;  // its backward nodes are recorded already
};

class Graph {
public:
    /// B sequences of T tokens: activations are (B*T, C). `activations`: what norm, attention and linear without residual
    /// give, F32 or F16; the residual stream, losses and all gradients are F32.
    Graph(Mode mode, int64_t batch, int64_t time, DType activations = DType::F32);

    Mode mode() const { return mode_; }
    int64_t batch() const { return batch_; }
    int64_t time() const { return time_; }

    /// A tensor that the host fills before a run: ids, targets, positions.
    Tensor input(const char* name, Shape shape, DType type);
    /// Keeps `t` readable after the run.
    Tensor output(Tensor t);

    /// dropout(wte[ids] + wpe[positions]) (R,C); `positions` and `wpe` may be absent.
    Tensor embed(Tensor ids, Tensor positions, const Weight& wte, const Weight& wpe, float dropout = 0);
    /// Layer norm over the last dimension (Ba, Kiros, Hinton 2016): (R,C) -> (R,C).
    Tensor norm(Tensor x, const NormWeights& w);
    /// residual + dropout(act(x w^T + b)): (R,C) -> (R,N).
    Tensor linear(Tensor x, const LinearWeights& w, const Epilogue& epilogue = {});
    /// Causal self-attention with `heads` heads: (R,3C) -> (R,C). Without a cache each sequence attends within itself; with
    /// one, row r is at positions[r] of its sequence, its key and value are stored there, and it attends to all before.
    Tensor attention(Tensor qkv, int64_t heads, float dropout = 0, const KvCache* cache = nullptr, Tensor positions = {});
    /// Rows of x by number: (R,C), rows (N) -> (N,C). Inference only.
    Tensor gather(Tensor x, Tensor rows);

    struct Loss {
        Tensor losses;     // (R) cross-entropy of each row in nats, 0 where the target is kIgnore
        Tensor predicted;  // (R) int32, the most probable token; Infer only
    };
    /// Output head (V,C) and softmax cross-entropy, over chunks of rows, so that the logits of all rows never exist at
    /// once. In training the gradient goes on to x and to the head at once.
    Loss loss(Tensor x, const Weight& head, Tensor targets);

    const TensorInfo& info(Tensor t) const { return tensors_[static_cast<size_t>(t.id)]; }
    const std::vector<TensorInfo>& tensors() const { return tensors_; }
    const std::vector<Node>& nodes() const { return nodes_; }

    // For the gradient rules (core/ops.cpp) and for tests and optimizers, which place their own nodes:

    /// A new intermediate tensor.
    Tensor make(Shape shape, DType type = DType::F32);
    /// `t` seen as another shape, from byte `offset` on.
    Tensor view(Tensor t, Shape shape, size_t offset);
    /// A tensor at a fixed place. The same place gives the same handle.
    Tensor fixed(std::string name, Shape shape, DType type, Location where);
    Tensor weight(const Weight& w);
    Node& add(Op op, const Params& p, std::initializer_list<Tensor> in, std::initializer_list<Tensor> out);
    /// Gradient tensor of t. `adds` says whether something was written to it before, so that the caller must accumulate.
    struct Gradient {
        Tensor tensor;
        bool adds;
    };
    Gradient gradient(Tensor t);
    bool has_gradient(Tensor t) const { return static_cast<bool>(gradients_[static_cast<size_t>(t.id)]); }
    /// Makes `gradient` the gradient of t, which must not have one.
    void set_gradient(Tensor t, Tensor gradient);

    /// Appends the backward nodes of all nodes recorded so far (Train, after loss()). `complete` is called when the
    /// gradient of a weight has its last term, in case something is to be done with it at once.
    void record_backward(const std::function<void(Tensor weight, Tensor gradient)>& complete = {});
    /// For a gradient rule: records a term of the gradient of `w` as late as possible, with the last one. Of the two terms
    /// of a tied embedding, the output head's comes first; until then its inputs take less memory than its result.
    void record_with_last_use(Tensor w, std::function<void()> record);

private:
    Params rows(Tensor x) const;
    uint32_t dropout_threshold(float probability) const;

    Mode mode_;
    int64_t batch_, time_;
    DType activations_;
    uint32_t streams_ = 0;
    std::vector<TensorInfo> tensors_;
    std::vector<Node> nodes_;
    std::map<Location, Tensor> fixed_;
    std::vector<Tensor> gradients_;           // by tensor id
    std::vector<Location> weight_gradients_;  // by tensor id; where a weight's gradient lies
    // During record_backward(), by tensor id: forward nodes that use it and are still to come, and terms that wait for
    // them.
    std::vector<int> uses_left_;
    std::vector<std::vector<std::function<void()>>> waiting_;
};

}  // namespace nib

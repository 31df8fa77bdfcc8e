#include "core/graph.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/ops.h"

namespace nib {
namespace {

constexpr int64_t kLogitBytes = 64 << 20;  // the loss works on chunks of about this size

}  // namespace

Graph::Graph(Mode mode, int64_t batch, int64_t time, DType activations)
    : mode_(mode), batch_(batch), time_(time), activations_(activations) {
    CHECK(batch > 0 && time > 0 && (activations == DType::F32 || activations == DType::F16));
}

Tensor Graph::make(Shape shape, DType type) {
    TensorInfo info;
    info.shape = shape;
    info.type = type;
    tensors_.push_back(std::move(info));
    gradients_.push_back({});
    weight_gradients_.push_back({});
    return {static_cast<int>(tensors_.size()) - 1};
}

Tensor Graph::view(Tensor t, Shape shape, size_t offset) {
    const int base = info(t).base >= 0 ? info(t).base : t.id;
    offset += info(t).view_offset;
    const Tensor result = make(shape, info(t).type);
    TensorInfo& made = tensors_.back();
    made.base = base;
    made.view_offset = offset;
    CHECK(offset + made.bytes() <= tensors_[static_cast<size_t>(base)].bytes());
    return result;
}

Tensor Graph::fixed(std::string name, Shape shape, DType type, Location where) {
    CHECK(where.buffer >= 0);
    const auto [known, is_new] = fixed_.try_emplace(where);
    if (!is_new) {
        CHECK(info(known->second).shape == shape && info(known->second).type == type);
        return known->second;
    }
    const Tensor t = known->second = make(shape, type);
    tensors_.back().where = where;
    tensors_.back().name = std::move(name);
    return t;
}

Tensor Graph::weight(const Weight& w) {
    if (!w) return {};
    CHECK(mode_ == Mode::Infer || w.type == DType::F32);
    const Tensor t = fixed(w.name, w.shape, w.type, w.value);
    weight_gradients_[static_cast<size_t>(t.id)] = w.gradient;
    return t;
}

Tensor Graph::input(const char* name, Shape shape, DType type) {
    const Tensor t = make(shape, type);
    tensors_.back().kept = true;
    tensors_.back().name = name;
    return t;
}

Tensor Graph::output(Tensor t) {
    tensors_[static_cast<size_t>(info(t).base >= 0 ? info(t).base : t.id)].kept = true;
    return t;
}

Node& Graph::add(Op op, const Params& p, std::initializer_list<Tensor> in, std::initializer_list<Tensor> out) {
    CHECK(in.size() <= kMaxIn && out.size() <= kMaxOut);
    Node node;
    node.op = op;
    node.p = p;
    std::copy(in.begin(), in.end(), node.in.begin());
    std::copy(out.begin(), out.end(), node.out.begin());
    const auto is_half = [&](Tensor t) { return t && info(t).type == DType::F16 && info(t).where.buffer < 0; };
    for (size_t i = 0; i < kMaxIn; ++i) node.halves |= static_cast<uint8_t>(is_half(node.in[i]) << i);
    for (size_t i = 0; i < kMaxOut; ++i) node.halves |= static_cast<uint8_t>(is_half(node.out[i]) << (kMaxIn + i));
    nodes_.push_back(node);
    return nodes_.back();
}

Graph::Gradient Graph::gradient(Tensor t) {
    Tensor& known = gradients_[static_cast<size_t>(t.id)];
    if (known) return {known, true};
    const Location where = weight_gradients_[static_cast<size_t>(t.id)];
    const TensorInfo about = info(t);
    const Tensor made = where.buffer >= 0 ? fixed("d " + about.name, about.shape, DType::F32, where) : make(about.shape);
    gradients_[static_cast<size_t>(t.id)] = made;  // not `known`: making a tensor may have moved it
    return {made, false};
}

void Graph::set_gradient(Tensor t, Tensor gradient) {
    CHECK(!has_gradient(t) && info(t).shape == info(gradient).shape);
    gradients_[static_cast<size_t>(t.id)] = gradient;
}

// Dimensions of an op on the rows of x (R,C).
Params Graph::rows(Tensor x) const {
    const Shape& shape = info(x).shape;
    CHECK(shape.rank == 2 && shape[0] == batch_ * time_);
    Params p;
    p.B = batch_;
    p.T = time_;
    p.C = p.N = shape[1];
    return p;
}

uint32_t Graph::dropout_threshold(float probability) const {
    CHECK(probability >= 0 && probability < 1);
    return mode_ == Mode::Train ? static_cast<uint32_t>(std::lround(probability * 65536)) : 0;
}

Tensor Graph::embed(Tensor ids, Tensor positions, const Weight& wte, const Weight& wpe, float dropout) {
    Params p;
    p.B = batch_;
    p.T = time_;
    p.C = wte.shape[1];
    p.N = wte.shape[0];
    p.S = wpe ? wpe.shape[0] : 0;
    p.type = wte.type;
    p.position_type = wpe.type;
    p.dropout = dropout_threshold(dropout);
    p.stream = streams_++;
    const Tensor y = make({batch_ * time_, p.C});
    add(Op::Embed, p, {ids, positions, weight(wte), weight(wpe)}, {y});
    return y;
}

Tensor Graph::norm(Tensor x, const NormWeights& w) {
    Params p = rows(x);
    CHECK(w.gain.shape[0] == p.C);
    p.eps = w.eps;
    const Tensor y = make(info(x).shape, activations_);
    const bool train = mode_ == Mode::Train;
    const Tensor mean = train ? make({p.B * p.T}) : Tensor{}, rstd = train ? make({p.B * p.T}) : Tensor{};
    add(Op::Norm, p, {x, weight(w.gain), weight(w.bias)}, {y, mean, rstd});
    return y;
}

Tensor Graph::linear(Tensor x, const LinearWeights& w, const Epilogue& epilogue) {
    Params p = rows(x);
    CHECK(w.w.shape.rank == 2 && w.w.shape[1] == p.C);
    p.N = w.w.shape[0];
    p.type = w.w.type;
    p.act = epilogue.act;
    p.dropout = dropout_threshold(epilogue.dropout);
    p.stream = streams_++;
    const Tensor y = make({p.B * p.T, p.N}, epilogue.residual ? DType::F32 : activations_);
    const Tensor pre = mode_ == Mode::Train && p.act != Act::None ? make({p.B * p.T, p.N}, activations_) : Tensor{};
    add(Op::Linear, p, {x, weight(w.w), weight(w.b), epilogue.residual}, {y, pre});
    return y;
}

Tensor Graph::attention(Tensor qkv, int64_t heads, float dropout, const KvCache* cache, Tensor positions) {
    Params p = rows(qkv);
    CHECK(p.C % (3 * heads) == 0);
    p.C = p.N = p.C / 3;
    p.H = heads;
    const Tensor y = make({p.B * p.T, p.C}, activations_);
    if (cache == nullptr) {
        p.dropout = dropout_threshold(dropout);
        p.stream = streams_++;
        add(Op::Attention, p, {qkv}, {y, make({p.B, p.H, p.T})});
        return y;
    }
    CHECK(mode_ == Mode::Infer);
    p.S = cache->capacity;
    p.type = cache->type;
    const Shape shape{p.B, p.H, p.S, p.C / p.H};
    add(Op::AttentionCached, p, {qkv, positions},
        {y, fixed("keys", shape, cache->type, cache->keys), fixed("values", shape, cache->type, cache->values)});
    return y;
}

Tensor Graph::gather(Tensor x, Tensor which) {
    CHECK(mode_ == Mode::Infer);
    Params p = rows(x);
    p.N = info(which).shape[0];
    const Tensor y = make({p.N, p.C});
    add(Op::GatherRows, p, {x, which}, {y});
    // What follows works on the gathered rows.
    batch_ = p.N;
    time_ = 1;
    return y;
}

Graph::Loss Graph::loss(Tensor x, const Weight& head, Tensor targets) {
    const bool train = mode_ == Mode::Train;
    const Params all = rows(x);
    const int64_t R = all.B * all.T, V = head.shape[0], C = all.C;
    CHECK(head.shape[1] == C && info(targets).shape[0] == R);
    // Chunks are whole sequences where one fits, else parts of one.
    const int64_t fitting = std::max<int64_t>(1, kLogitBytes / (V * 4));
    const int64_t unit = fitting >= all.T ? all.T : std::min<int64_t>(all.T, std::max<int64_t>(256, fitting));
    const int64_t step = fitting >= all.T ? fitting / all.T * all.T : unit;
    const Tensor losses = make({R}), w = weight(head);
    const Tensor predicted = train ? Tensor{} : make({R}, DType::I32);
    const auto part = [&](Tensor t, int64_t row, int64_t rows) {
        if (!t) return t;
        const int64_t width = info(t).shape.rank == 2 ? info(t).shape[1] : 1;
        const Shape shape = info(t).shape.rank == 2 ? Shape{rows, width} : Shape{rows};
        return rows == R ? t : view(t, shape, dtype_bytes(info(t).type, row * width));
    };
    for (int64_t row = 0, rows; row < R; row += rows) {
        rows = std::min({step, R - row, step < all.T ? all.T - row % all.T : R});
        Params p = all;
        p.B = rows % all.T == 0 ? rows / all.T : 1;
        p.T = rows / p.B;
        p.N = V;
        p.type = head.type;
        p.stream = streams_;
        const Tensor xs = part(x, row, rows), logits = make({rows, V});
        Node& head_node = add(Op::Linear, p, {xs, w, {}, {}}, {logits});
        head_node.new_stage = head_node.differentiated = rows < R;
        add(Op::CrossEntropy, p, {logits, part(targets, row, rows)},
            {part(losses, row, rows), train ? logits : Tensor{}, part(predicted, row, rows)});
        if (!train) continue;
        if (rows == R) {
            set_gradient(logits, logits);
            continue;
        }
        // Several chunks: gradients go on at once, since the next chunk needs the memory of the logits.
        add(Op::LinearBackward, p, {logits, w}, {part(gradient(x).tensor, row, rows)}).differentiated = true;
        const Gradient dw = gradient(w);
        add(Op::LinearBackwardWeight, p, {logits, xs}, {dw.tensor}).accumulate = dw.adds;
    }
    return {losses, predicted};
}

void Graph::record_with_last_use(Tensor w, std::function<void()> record) {
    const auto id = static_cast<size_t>(w.id);
    if (uses_left_[id] > 1)
        waiting_[id].push_back(std::move(record));
    else
        record();
}

void Graph::record_backward(const std::function<void(Tensor weight, Tensor gradient)>& complete) {
    CHECK(mode_ == Mode::Train);
    const auto is_weight = [&](Tensor t) { return t && info(t).where.buffer >= 0; };
    const size_t forward = nodes_.size();
    uses_left_.assign(tensors_.size(), 0);
    waiting_.assign(tensors_.size(), {});
    for (size_t i = 0; i < forward; ++i)
        for (const Tensor t : nodes_[i].in)
            if (is_weight(t) && !nodes_[i].differentiated) ++uses_left_[static_cast<size_t>(t.id)];
    // An untied head whose loss came in chunks has its whole gradient already.
    for (size_t id = 0; complete && id < uses_left_.size(); ++id) {
        const Tensor t{static_cast<int>(id)};
        if (is_weight(t) && has_gradient(t) && uses_left_[id] == 0) complete(t, gradients_[id]);
    }
    for (size_t i = forward; i-- > 0;) {
        const Node node = nodes_[i];  // a copy: recording moves the nodes
        if (node.differentiated || !node.out[0] || !has_gradient(node.out[0])) continue;
        for (const Tensor t : node.in)
            if (is_weight(t) && uses_left_[static_cast<size_t>(t.id)] == 1)
                for (const auto& record : std::exchange(waiting_[static_cast<size_t>(t.id)], {})) record();
        nib::record_backward(*this, node);
        for (const Tensor t : node.in)
            if (is_weight(t) && --uses_left_[static_cast<size_t>(t.id)] == 0 && complete)
                complete(t, gradients_[static_cast<size_t>(t.id)]);
    }
}

}  // namespace nib

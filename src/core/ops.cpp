#include "core/ops.h"

namespace nib {

const char* op_name(Op op) {
    static constexpr const char* names[kOpCount] = {"embed",
                                                    "embed_backward",
                                                    "norm",
                                                    "norm_backward",
                                                    "norm_backward_weight",
                                                    "linear",
                                                    "linear_backward_epilogue",
                                                    "linear_backward",
                                                    "linear_backward_weight",
                                                    "attention",
                                                    "attention_backward",
                                                    "attention_cached",
                                                    "gather_rows",
                                                    "cross_entropy",
                                                    "sum_squares",
                                                    "clip_factor",
                                                    "adamw",
                                                    "sgd"};
    return names[static_cast<int>(op)];
}

namespace {

// Whether its units are rows of activations.
bool op_by_rows(Op op, const Params& p) {
    switch (op) {
        case Op::Embed:
        case Op::Norm:
        case Op::NormBackward:
        case Op::LinearBackwardEpilogue:
        case Op::CrossEntropy: return true;
        case Op::Linear:
        case Op::LinearBackward: return !p.by_columns;
        default: return false;
    }
}

}  // namespace

int64_t op_units(Op op, const Params& p) {
    if (op_by_rows(op, p)) return p.B * p.T;
    switch (op) {
        case Op::Linear:
        case Op::LinearBackwardWeight:
        case Op::GatherRows: return p.N;
        case Op::LinearBackward:
        case Op::EmbedBackward:
        case Op::NormBackwardWeight:
        case Op::AdamW:
        case Op::Sgd: return p.C;
        case Op::Attention:
        case Op::AttentionBackward:
        case Op::AttentionCached: return p.B * p.H;
        case Op::SumSquares: return (p.C + kSumBlock - 1) / kSumBlock;
        default: return 1;
    }
}

int64_t op_units(const Call& call) { return op_by_rows(call.op, call.p) ? call.rows() : op_units(call.op, call.p); }

int64_t op_units_per_sequence(Op op, const Params& p) {
    if (op_by_rows(op, p)) return p.T;
    return op == Op::Attention || op == Op::AttentionBackward || op == Op::AttentionCached ? p.H : 0;
}

bool op_is_weight_gradient(Op op) {
    return op == Op::EmbedBackward || op == Op::NormBackwardWeight || op == Op::LinearBackwardWeight;
}

bool op_reads_output(const Call& call, int i) {
    switch (call.op) {
        case Op::AdamW:
        case Op::Sgd: return true;
        case Op::AttentionCached: return i > 0;
        default: return op_is_weight_gradient(call.op) ? call.adds_weight(i) : call.adds(i);
    }
}

namespace {

void embed_backward(Graph& g, const Node& n) {
    const Tensor dy = g.gradient(n.out[0]).tensor;
    const Graph::Gradient dwte = g.gradient(n.in[2]);
    const Graph::Gradient dwpe = n.in[3] ? g.gradient(n.in[3]) : Graph::Gradient{{}, false};
    g.add(Op::EmbedBackward, n.p, {dy, n.in[0], n.in[1]}, {dwte.tensor, dwpe.tensor}).accumulate =
        static_cast<uint8_t>(dwte.adds | dwpe.adds << 1);
}

void norm_backward(Graph& g, const Node& n) {
    const Tensor dy = g.gradient(n.out[0]).tensor, x = n.in[0], mean = n.out[1], rstd = n.out[2];
    const Graph::Gradient dgain = g.gradient(n.in[1]);
    const Graph::Gradient dbias = n.in[2] ? g.gradient(n.in[2]) : Graph::Gradient{{}, false};
    g.add(Op::NormBackwardWeight, n.p, {dy, x, mean, rstd}, {dgain.tensor, dbias.tensor}).accumulate =
        static_cast<uint8_t>(dgain.adds | dbias.adds << 1);
    const Graph::Gradient dx = g.gradient(x);
    g.add(Op::NormBackward, n.p, {dy, x, n.in[1], mean, rstd}, {dx.tensor}).accumulate = dx.adds;
}

void linear_backward(Graph& g, const Node& n) {
    const Tensor dy = g.gradient(n.out[0]).tensor, x = n.in[0], residual = n.in[3];
    Tensor dpre = dy;
    if (n.p.act != Act::None || n.p.dropout != 0 || residual) {
        // The residual takes over dy, which later nodes add to; only without one can the epilogue work in place.
        if (residual) dpre = g.make(g.info(dy).shape);
        g.add(Op::LinearBackwardEpilogue, n.p, {dy, n.out[1]}, {dpre});
    }
    if (residual) {
        CHECK(!g.has_gradient(residual));
        g.set_gradient(residual, dy);
    }
    g.record_with_last_use(n.in[1], [&g, n, dpre, x] {
        const Graph::Gradient dw = g.gradient(n.in[1]);
        const Graph::Gradient db = n.in[2] ? g.gradient(n.in[2]) : Graph::Gradient{{}, false};
        g.add(Op::LinearBackwardWeight, n.p, {dpre, x}, {dw.tensor, db.tensor}).accumulate =
            static_cast<uint8_t>(dw.adds | db.adds << 1);
    });
    const Graph::Gradient dx = g.gradient(x);
    g.add(Op::LinearBackward, n.p, {dpre, n.in[1]}, {dx.tensor}).accumulate = dx.adds;
}

void attention_backward(Graph& g, const Node& n) {
    const Tensor dy = g.gradient(n.out[0]).tensor;
    const Graph::Gradient dqkv = g.gradient(n.in[0]);
    CHECK(!dqkv.adds);
    g.add(Op::AttentionBackward, n.p, {dy, n.in[0], n.out[0], n.out[1]}, {dqkv.tensor});
}

}  // namespace

void record_backward(Graph& g, const Node& n) {
    switch (n.op) {
        case Op::Embed: return embed_backward(g, n);
        case Op::Norm: return norm_backward(g, n);
        case Op::Linear: return linear_backward(g, n);
        case Op::Attention: return attention_backward(g, n);
        default: CHECK(!"an op without a backward rule reached the loss");
    }
}

}  // namespace nib

#include "core/gradients.h"

#include "core/graph.h"

namespace nib {

void embed_gradient(Graph& g, const Node& n) {
    using E = operand::Embed;
    const Tensor dy = g.gradient(n[E::y]).tensor;
    const auto dwte = g.gradient_if_wanted(n[E::wte]), dwpe = g.gradient_if_wanted(n[E::wpe]),
               dwse = g.gradient_if_wanted(n[E::wse]);
    g.add(Op::EmbedBackward, n.p, {dy, n[E::ids], n[E::positions], n[E::segments]},
          {dwte.tensor, dwpe.tensor, dwse.tensor});
    g.accumulate({dwte, dwpe, dwse});
}

void norm_gradient(Graph& g, const Node& n) {
    using N = operand::Norm;
    const Tensor dy = g.gradient(n[N::y]).tensor, x = n[N::x], mean = n[N::mean], rstd = n[N::rstd];
    if (g.wants_gradient(n[N::gain]) || g.wants_gradient(n[N::bias])) {
        const auto dgain = g.gradient(n[N::gain]), dbias = g.gradient_if_wanted(n[N::bias]);
        g.add(Op::NormBackwardWeight, n.p, {dy, x, mean, rstd}, {dgain.tensor, dbias.tensor});
        g.accumulate({dgain, dbias});
    }
    if (g.wants_gradient(x)) {
        const auto dx = g.gradient(x);
        g.add(Op::NormBackward, n.p, {dy, x, n[N::gain], mean, rstd}, {dx.tensor});
        g.accumulate({dx});
    }
}

void linear_gradient(Graph& g, const Node& n) {
    using L = operand::Linear;
    const Tensor dy = g.gradient(n[L::y]).tensor, x = n[L::x], w = n[L::w], residual = n[L::residual];
    const bool wants_weight = g.wants_gradient(w) || g.wants_gradient(n[L::b]);
    const bool shaped = n.p.act != Act::None || n.p.dropout != 0, keeps = g.wants_gradient(residual);
    Tensor dpre = dy;
    // dy becomes the residual's gradient, which later nodes add to, perhaps before the weight's gradient is computed.
    if ((wants_weight && (shaped || keeps)) || (g.wants_gradient(x) && shaped)) {
        if (keeps) dpre = g.make_like(dy);
        g.add(Op::LinearBackwardEpilogue, n.p, {dy, n[L::pre]}, {dpre});
    }
    if (keeps) g.set_gradient(residual, dy);
    if (wants_weight) {
        const auto dw = g.gradient(w), db = g.gradient_if_wanted(n[L::b]);
        g.add(Op::LinearBackwardWeight, n.p, {dpre, n.computes_again ? g.computed_again(x) : x}, {dw.tensor, db.tensor});
        g.accumulate({dw, db});
    }
    if (g.wants_gradient(x)) {
        const auto dx = g.gradient(x);
        g.add(Op::LinearBackward, n.p, {dpre, w}, {dx.tensor});
        g.accumulate({dx});
    }
}

void linear_epilogue_gradient(Graph& g, const Node& n) {
    using L = operand::LinearEpilogue;
    const Tensor dy = g.gradient(n[L::y]).tensor, pre = n[L::pre], residual = n[L::residual];
    if (g.wants_gradient(pre)) {
        const auto dpre = g.gradient(pre);
        g.add(Op::LinearBackwardEpilogue, n.p, {dy, n.p.act != Act::None ? pre : Tensor{}}, {dpre.tensor});
        g.accumulate({dpre});
    }
    if (g.wants_gradient(residual)) g.set_gradient(residual, dy);
}

void glu_gradient(Graph& g, const Node& n) {
    using L = operand::Glu;
    const auto dgate = g.gradient(n[L::gate]), dup = g.gradient(n[L::up]);
    g.add(Op::GluBackward, n.p, {g.gradient(n[L::y]).tensor, n[L::gate], n[L::up]}, {dgate.tensor, dup.tensor});
    g.accumulate({dgate, dup});
}

// The gradient is rotated back, also in place.
void rope_gradient(Graph& g, const Node& n) {
    using R = operand::Rope;
    Params p = n.p;
    p.inverse = !p.inverse;
    const Tensor dx = g.gradient(n[R::x]).tensor;
    g.add(Op::Rope, p, {dx, n[R::rotation]}, {dx});
}

void attention_gradient(Graph& g, const Node& n) {
    using A = operand::Attention;
    const Tensor dy = g.gradient(n[A::y]).tensor;
    const auto dq = g.gradient(n[A::q]), dk = g.gradient(n[A::k]), dv = g.gradient(n[A::v]);
    if (dq.adds || dk.adds || dv.adds) fail("what attention takes as queries, keys or values, something else takes, too");
    g.add(Op::AttentionBackward, n.p, {dy, n[A::q], n[A::k], n[A::v], n[A::spans], n[A::y], n[A::lse]},
          {dq.tensor, dk.tensor, dv.tensor});
}

void gather_gradient(Graph& g, const Node& n) {
    using G = operand::Gather;
    const auto dx = g.gradient(n[G::x]);
    g.add(Op::GatherBackward, n.p, {g.gradient(n[G::y]).tensor, n[G::rows]}, {dx.tensor});
    g.accumulate({dx});
}

void mean_rows_gradient(Graph& g, const Node& n) {
    using M = operand::MeanRows;
    const auto dx = g.gradient(n[M::x]);
    g.add(Op::MeanRowsBackward, n.p, {g.gradient(n[M::y]).tensor, n[M::texts]}, {dx.tensor});
    g.accumulate({dx});
}

void normalize_gradient(Graph& g, const Node& n) {
    using N = operand::Normalize;
    const auto dx = g.gradient(n[N::x]);
    g.add(Op::NormalizeBackward, n.p, {g.gradient(n[N::y]).tensor, n[N::x]}, {dx.tensor});
    g.accumulate({dx});
}

// One node for each, since a and b may be parts of one tensor, or the same.
void similarity_gradient(Graph& g, const Node& n) {
    using S = operand::Similarity;
    const Tensor ds = g.gradient(n[S::s]).tensor, a = n[S::a], b = n[S::b];
    if (g.wants_gradient(a)) {
        const auto da = g.gradient(a);
        g.add(Op::SimilarityBackward, n.p, {ds, a, b}, {da.tensor});
        g.accumulate({da});
    }
    if (g.wants_gradient(b)) {
        const auto db = g.gradient(b);
        g.add(Op::SimilarityBackward, n.p, {ds, a, b}, {{}, db.tensor});
        g.accumulate({{}, db});
    }
}

}  // namespace nib

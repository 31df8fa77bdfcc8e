// Losses whose predictions are small enough to be there at once: numbers, spans, texts beside each other. In training an
// op's gradient replaces what it was computed from.
#include "core/graph.h"

namespace nib {

Graph::Values Graph::value_loss(Tensor x, const LinearWeights& head, Tensor targets, Tensor weights, bool binary) {
    Params p;
    p.binary = binary;
    const Tensor values = linear(x, head, {.floats = true});
    const TensorInfo about = info(values);
    const Tensor loss = make({about.shape[0], about.shape[1]}, DType::F32, about.row_count);
    add(Op::ValueLoss, p, {values, targets, weights}, {loss, gradient_in_place(values)});
    return {loss, mode_ == Mode::Infer ? values : Tensor{}};
}

Graph::SpanLogProbs Graph::span_loss(Tensor x, const LinearWeights& head, Tensor texts, Tensor targets,
                                     RowCount row_count) {
    const Tensor logits = linear(x, head, {.floats = true}), logp = make({1, info(texts).shape[0]}, DType::F32, row_count);
    add(Op::SpanLoss, {}, {logits, texts, targets}, {logp, gradient_in_place(logits)});
    return {logp, mode_ == Mode::Infer ? logits : Tensor{}};
}

Graph::LogProbs Graph::contrastive_loss(Tensor a, Tensor b, float scale, Tensor targets, Tensor weights) {
    const Tensor s = similarity(a, b, scale);
    const TensorInfo about = info(s);
    const Shape rows{about.shape[0], about.shape[1]};
    const Tensor logp = make(rows, DType::F32, about.row_count);
    const Tensor predicted = mode_ == Mode::Infer ? make(rows, DType::I32, about.row_count) : Tensor{};
    add(Op::CrossEntropy, {}, {s, targets, weights}, {logp, gradient_in_place(s), predicted});
    return {logp, predicted};
}

// t, which becomes its own gradient; nothing if it gets none.
Tensor Graph::gradient_in_place(Tensor t) {
    if (mode_ == Mode::Infer || !wants_gradient(t)) return {};
    set_gradient(t, t);
    return t;
}

}  // namespace nib

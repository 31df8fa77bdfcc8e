// Losses whose predictions are small enough to be there at once, or are there already: numbers, spans, texts beside each
// other, log-probabilities. In training the gradient of what a head gives replaces it.
#include <cmath>

#include "core/graph.h"

namespace nib {

Graph::Values Graph::value_loss(Tensor x, const LinearWeights& head, Tensor targets, Tensor weights, bool binary,
                                Tensor old, float clip) {
    if (old && binary) fail("only of numbers can a value loss be clipped, not of labels");
    if (!(clip >= 0)) fail("values cannot be clipped to %g around the old ones", static_cast<double>(clip));
    Params p;
    p.binary = binary;
    p.clip_low = p.clip_high = clip;
    const Tensor values = linear(x, head, {.floats = true});
    const TensorInfo about = info(values);
    const Tensor loss = make({about.shape[0], about.shape[1]}, DType::F32, about.row_count);
    add(Op::ValueLoss, p, {values, targets, weights, old}, {loss, gradient_in_place(values)});
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

Tensor Graph::policy_loss(const LogProbs& scores, const PolicyInputs& in, const PolicyOptions& options) {
    Params p;
    p.clip_low = options.clip_low, p.clip_high = options.clip_high;
    p.beta = options.kl;
    p.entropy_weight = options.entropy;
    if (!(p.clip_low >= 0 && p.clip_high >= 0))
        fail("a ratio cannot be clipped to %g below 1 and %g above", static_cast<double>(p.clip_low),
             static_cast<double>(p.clip_high));
    if (!std::isfinite(p.beta) || !std::isfinite(p.entropy_weight))
        fail("a divergence and an entropy cannot have weights %g and %g", static_cast<double>(p.beta),
             static_cast<double>(p.entropy_weight));
    if (p.beta != 0 && !in.reference) fail("the divergence from a reference needs its log-probabilities");
    if (p.entropy_weight != 0 && !scores.entropy) fail("an entropy has a weight, but was not asked for");
    const Tensor reference = p.beta != 0 ? in.reference : Tensor{};
    const Tensor entropy = p.entropy_weight != 0 ? scores.entropy : Tensor{};
    const Tensor loss = make_like(scores.logp);
    add(Op::PolicyLoss, p, {scores.logp, in.old, reference, in.advantages, in.weights, entropy},
        {loss, gradient_of_its_own(scores.logp), gradient_of_its_own(entropy)});
    return loss;
}

Tensor Graph::preference_loss(Tensor scores, Tensor scales, Tensor offsets, const PreferenceOptions& options) {
    Params p;
    p.preference = options.kind;
    p.beta = options.beta;
    p.smoothing = options.smoothing;
    if (!(std::isfinite(p.beta) && p.beta > 0)) fail("a margin cannot have the weight %g", static_cast<double>(p.beta));
    if (!(p.smoothing >= 0 && p.smoothing < 0.5f) || (p.smoothing > 0 && options.kind != Preference::Sigmoid))
        fail("a label smoothing of %g is not from 0 to below 0.5, or not of the sigmoid loss",
             static_cast<double>(p.smoothing));
    const TensorInfo about = info(scores);
    const Tensor loss = make({about.shape[0], about.shape[1]}, DType::F32, about.row_count);
    add(Op::PreferenceLoss, p, {scores, scales, offsets}, {loss, gradient_of_its_own(scores)});
    return loss;
}

// A new tensor that becomes the gradient of t; nothing if it gets none.
Tensor Graph::gradient_of_its_own(Tensor t) {
    if (mode_ == Mode::Infer || !wants_gradient(t)) return {};
    const Tensor made = make_like(t);
    set_gradient(t, made);
    return made;
}

// t, which becomes its own gradient; nothing if it gets none.
Tensor Graph::gradient_in_place(Tensor t) {
    if (mode_ == Mode::Infer || !wants_gradient(t)) return {};
    set_gradient(t, t);
    return t;
}

}  // namespace nib

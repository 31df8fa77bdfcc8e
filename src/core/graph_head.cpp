// The output head and the losses on it, chunk by chunk: all logits at once would be larger than anything else.
#include <algorithm>
#include <utility>
#include <vector>

#include "core/graph.h"

namespace nib {
namespace {

constexpr int64_t kLogitBytes = 64 << 20;  // approximate size of a chunk of logits

// Splits the rows of (B,T) into chunks for the head: whole sequences if at least one fits, else parts of one.
std::vector<Range> chunks(int64_t B, int64_t T, int64_t vocab) {
    const int64_t R = B * T, fitting = std::max<int64_t>(1, kLogitBytes / (vocab * 4));
    const int64_t part = std::min<int64_t>(T, std::max<int64_t>(256, fitting));
    const int64_t most = fitting >= T ? fitting / T * T : part;
    std::vector<Range> list;
    for (int64_t row = 0; row < R; row = list.back().end)
        list.push_back({row, row + std::min({most, R - row, most < T ? T - row % T : R})});
    return list;
}

}  // namespace

Graph::LogProbs Graph::cross_entropy(Tensor x, const LinearWeights& w, Tensor targets, Tensor weights, float smoothing) {
    return head(x, w, targets, {.weights = weights, .smoothing = smoothing, .is_loss = true});
}

Graph::LogProbs Graph::log_probs(Tensor x, const LinearWeights& w, Tensor targets, bool entropy) {
    return head(x, w, targets, {.entropy = entropy});
}

Graph::LogProbs Graph::head(Tensor x, const LinearWeights& head, Tensor targets, const HeadUse& use) {
    const TensorInfo about = info(x);
    const int64_t B = about.shape[0], T = about.shape[1], V = head.w.shape[0];
    if (about.shape.rank != 3 || B < 1 || T < 1 || !head.w || head.w.shape.rank != 2 || V < 1)
        fail("a head %s does not fit hidden states %s", head.w.shape.text().c_str(), about.shape.text().c_str());
    if (!head.adapters.empty()) fail("an output head takes no adapters");
    for (const Tensor t : {targets, use.weights})
        if (t && info(t).shape != Shape{B, T})
            fail("targets and weights of a loss have shape %s, not %s", Shape{B, T}.text().c_str(),
                 info(t).shape.text().c_str());
    const RowCount count = about.row_count;
    const Tensor w = weight(head.w), b = weight(head.b), logp = make({B, T}, DType::F32, count);
    const Tensor predicted = mode_ == Mode::Infer ? make({B, T}, DType::I32, count) : Tensor{};
    const Tensor entropy = use.entropy ? make({B, T}, DType::F32, count) : Tensor{};
    const bool wanted = wants_gradient(x) || wants_gradient(w) || wants_gradient(b);
    const std::vector<Range> parts = chunks(B, T, V);
    Params p;
    p.stream = streams_;
    // Rows of a tensor (B,T,...) as (sequences, times, ...).
    const auto part = [this, B, T](Tensor t, const Range& rows) {
        if (!t || rows.end - rows.begin == B * T) return t;
        const TensorInfo whole = info(t);
        const int64_t n = rows.end - rows.begin, width = whole.shape.rank == 3 ? whole.shape[2] : 1;
        const int64_t sequences = n % T == 0 ? n / T : 1, times = n / sequences;
        const Shape shape = whole.shape.rank == 3 ? Shape{sequences, times, width} : Shape{sequences, times};
        return view(t, shape, dtype_bytes(whole.type, rows.begin * width));
    };
    const bool several = parts.size() > 1;
    const auto record_logits = [=, this](const Range& rows, Params& at) {
        at = p;
        at.first_row = rows.begin;
        const Tensor xs = part(x, rows), logits = make({info(xs).shape[0], info(xs).shape[1], V}, DType::F32, count);
        Node& node = add(Op::Linear, at, {xs, w, b}, {logits});
        node.new_stage = several;
        node.differentiated = true;
        return std::pair(xs, logits);
    };
    const auto record_gradients = [=, this](const Range& rows, const Params& at, Tensor xs, Tensor dlogits,
                                            bool adds_to_x) {
        if (wants_gradient(x)) {
            const Tensor dx = gradient(x).tensor;
            add(Op::LinearBackward, at, {dlogits, w}, {part(dx, rows)});
            accumulate({
                {dx, adds_to_x}
            });  // each chunk has rows of its own
        }
        if (wants_gradient(w) || wants_gradient(b)) {
            const Gradient dw = gradient(w), db = gradient_if_wanted(b);
            add(Op::LinearBackwardWeight, at, {dlogits, xs}, {dw.tensor, db.tensor});
            accumulate({dw, db});
        }
    };
    const bool adds_to_x = has_gradient(x);
    Params at;
    std::pair<Tensor, Tensor> last;  // of a single chunk the backward pass still finds the logits
    for (const Range& rows : parts) {
        const auto [xs, logits] = last = record_logits(rows, at);
        at.smoothing = use.smoothing;
        const bool now = use.is_loss && wanted;
        add(Op::CrossEntropy, at, {logits, part(targets, rows), part(use.weights, rows)},
            {part(logp, rows), now ? logits : Tensor{}, part(predicted, rows), part(entropy, rows)});
        // The gradients follow at once, since the next chunk reuses the memory of the logits.
        if (now) record_gradients(rows, at, xs, logits, adds_to_x);
    }
    if (wanted && !use.is_loss) {
        wants_gradient_[number(logp)] = true;
        if (entropy) wants_gradient_[number(entropy)] = true;
        when_reached_[nodes_.size() - 1] = [=, this] {
            if (!has_gradient(logp)) return;
            const Tensor dlogp = gradient(logp).tensor;
            const bool varies = entropy && has_gradient(entropy), adds = has_gradient(x);
            const Tensor h = varies ? entropy : Tensor{}, dh = varies ? gradient(entropy).tensor : Tensor{};
            for (const Range& rows : parts) {
                Params again = at;
                const auto [xs, logits] = several ? record_logits(rows, again) : last;
                add(Op::LogProbBackward, again,
                    {logits, part(targets, rows), part(dlogp, rows), part(h, rows), part(dh, rows)}, {logits});
                record_gradients(rows, again, xs, logits, adds);
            }
        };
    }
    return {logp, predicted, entropy};
}

}  // namespace nib

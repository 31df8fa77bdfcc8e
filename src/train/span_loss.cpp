// Loss::Span: which tokens of a text an answer begins and ends with (Devlin et al. 2018, section 4.2).
#include <algorithm>

#include "core/error.h"
#include "train/loss_inputs.h"

namespace nib {
namespace {

class SpanInputs : public LossInputs {
public:
    explicit SpanInputs(const LossSource& source) : batch_(source.shape.batch), time_(source.shape.time) {
        Graph& g = source.g;
        if (!source.shape.ragged || source.number > 0) fail("spans are learned from ragged rows, and alone");
        count_ = g.add_row_count();
        texts_tensor_ = g.input("texts", {batch_, 2}, DType::I32);
        targets_tensor_ = g.input("targets", {batch_, 2}, DType::I32);
        const Head& head = source.model.head(source.objective().head);
        const Tensor x = source.model.features(g, source.weights, head, source.hidden);
        const Graph::SpanLogProbs scores =
            g.span_loss(x, source.weights[head.output], texts_tensor_, targets_tensor_, count_);
        computes(g.output(scores.logp), batch_, true);
        texts_.resize(static_cast<size_t>(2 * batch_)), ends_.resize(texts_.size());
        if (source.trains()) return;
        logits_tensor_ = g.output(scores.logits);
        logits_.resize(static_cast<size_t>(2 * batch_ * time_));
    }

    // The rows of tokens that have a target, as rows of hidden states: the packed ones.
    void set(const Plan& plan, const LossBatch& batch, Step& step) override {
        const auto B = static_cast<size_t>(batch_), T = static_cast<size_t>(time_);
        const RaggedRows& ragged = batch.ragged;
        if (batch.targets.size() != B * T) fail("%zu targets are not %zu for each of %zu rows", batch.targets.size(), T, B);
        std::fill(texts_.begin(), texts_.end(), 0), std::fill(ends_.begin(), ends_.end(), 0);
        size_t texts = 0;
        int32_t row = 0;
        for (size_t b = 0; b < B; row += ragged.lengths[b++]) {
            for (int32_t t = 0; t < static_cast<int32_t>(T); ++t) {
                const int32_t last = batch.targets[b * T + static_cast<size_t>(t)];
                if (last == kIgnore) continue;
                if (last < t || last >= ragged.lengths[b])
                    fail("a span from token %d to %d is not within a row of %d", t, last, ragged.lengths[b]);
                if (texts > 0 && texts_[2 * texts - 2] == row) fail("a row of tokens has more than one span");
                texts_[2 * texts] = row, texts_[2 * texts + 1] = row + ragged.lengths[b];
                ends_[2 * texts] = row + t, ends_[2 * texts + 1] = row + last;
                ++texts;
            }
        }
        // Those that are not in use begin where the last one ends.
        std::fill(texts_.begin() + static_cast<std::ptrdiff_t>(2 * texts), texts_.end(),
                  texts > 0 ? texts_[2 * texts - 1] : 0);
        plan.set<int32_t>(texts_tensor_, texts_);
        plan.set<int32_t>(targets_tensor_, ends_);
        step.rows[count_] = rows_ = static_cast<int64_t>(std::max<size_t>(texts, 1));
    }

    // The logits of all tokens, one row of tokens after the other.
    void read(const Plan& plan, LossSum& to) override {
        plan.get(logits_tensor_, std::span<float>(logits_));
        to.numbers = logits_;
    }

private:
    const int64_t batch_, time_;  // B, T
    RowCount count_ = -1;
    Tensor texts_tensor_, targets_tensor_;  // (B,2) int32
    Tensor logits_tensor_;                  // (1,B*T,2)
    std::vector<int32_t> texts_, ends_;     // (B,2)
    std::vector<float> logits_;             // (B*T,2)
};

}  // namespace

std::unique_ptr<LossInputs> record_span(const LossSource& source) { return std::make_unique<SpanInputs>(source); }

}  // namespace nib

// Loss::Contrast: of embeddings, each of which is to be nearest to that of the text that belongs to it.
#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "train/loss_inputs.h"

namespace nib {
namespace {

// Vectors of length 1 for texts, each the mean of its rows of the hidden states.
Tensor embeddings(Graph& g, Tensor hidden, Tensor texts, RowCount count) {
    return g.normalize(g.mean_rows(hidden, texts, count));
}

class ContrastInputs : public LossInputs {
public:
    explicit ContrastInputs(const LossSource& source)
        : batch_(source.shape.batch), time_(source.shape.time), channels_(source.model.config().embd) {
        Graph& g = source.g;
        if (!source.shape.ragged) fail("embeddings are learned from ragged rows");
        count_ = g.add_row_count(), others_count_ = g.add_row_count();
        first_spans_ = g.input("first texts", {batch_, 2}, DType::I32);
        other_spans_ = g.input("other texts", {2 * batch_, 2}, DType::I32);
        targets_ = g.input("targets", {1, batch_}, DType::I32, count_);
        first_vectors_ = embeddings(g, source.hidden, first_spans_, count_);
        other_vectors_ = embeddings(g, source.hidden, other_spans_, others_count_);
        const Graph::LogProbs scores =
            g.contrastive_loss(first_vectors_, other_vectors_, 1 / source.objective().temperature, targets_);
        computes(g.output(scores.logp), batch_, true);
        const auto B = static_cast<size_t>(batch_);
        firsts_.resize(2 * B), others_.resize(4 * B), own_.resize(B);
        if (source.trains()) return;
        predicted_tensor_ = g.output(scores.predicted);
        g.output(first_vectors_), g.output(other_vectors_);
        vectors_.resize(3 * B * static_cast<size_t>(channels_)), cosines_.resize(B), nearest_.resize(B);
    }

    // The texts of rows that have two or three, as rows of hidden states: the packed ones, in the order of their tokens.
    void set(const Plan& plan, const LossBatch& batch, Step& step) override {
        const RaggedRows& ragged = batch.ragged;
        const auto B = static_cast<size_t>(batch_), T = static_cast<size_t>(time_);
        std::fill(own_.begin(), own_.end(), kIgnore);
        size_t pairs = 0, others = 0;
        int32_t row = 0;
        for (size_t b = 0; b < B; ++b) {
            int texts = 0;
            for (size_t t = 0; t < static_cast<size_t>(ragged.lengths[b]); ++t, ++row) {
                if (t == 0 || ragged.positions[b * T + t] == 0) {
                    if (++texts > 3) fail("a row has more than three texts");
                    if (texts == 2) own_[pairs] = static_cast<int32_t>(others);
                    (texts == 1 ? firsts_[2 * pairs] : others_[2 * others++]) = row;
                }
                (texts == 1 ? firsts_[2 * pairs + 1] : others_[2 * others - 1]) = row + 1;
            }
            if (texts == 1) fail("a row of one text has nothing to be compared with");
            if (texts > 0) ++pairs;
        }
        // Those that are not in use begin where the last one ends.
        const auto rest = [](std::vector<int32_t>& texts, size_t used) {
            std::fill(texts.begin() + static_cast<std::ptrdiff_t>(2 * used), texts.end(),
                      used > 0 ? texts[2 * used - 1] : 0);
        };
        rest(firsts_, pairs), rest(others_, others);
        plan.set<int32_t>(first_spans_, firsts_);
        plan.set<int32_t>(other_spans_, others_);
        plan.set<int32_t>(targets_, own_);
        step.rows[count_] = rows_ = static_cast<int64_t>(std::max<size_t>(pairs, 1));
        step.rows[others_count_] = static_cast<int64_t>(std::max<size_t>(others, 1));
    }

    // Cosines of the first and second texts, and whether none of the batch's others is nearer.
    void read(const Plan& plan, LossSum& to) override {
        const auto B = static_cast<size_t>(batch_), C = static_cast<size_t>(channels_), n = static_cast<size_t>(to.rows);
        const auto firsts = std::span(vectors_).first(B * C), others = std::span(vectors_).subspan(B * C);
        plan.get(first_vectors_, firsts);
        plan.get(other_vectors_, others);
        plan.get(predicted_tensor_, std::span<int32_t>(nearest_));
        for (size_t i = 0; i < n; ++i) {
            const auto own = static_cast<size_t>(own_[i]);
            cosines_[i] = std::inner_product(&firsts[i * C], &firsts[i * C] + C, &others[own * C], 0.0f);
            nearest_[i] = nearest_[i] == own_[i];
        }
        to.numbers = std::span<const float>(cosines_).first(n);
        to.predicted = std::span<const int32_t>(nearest_).first(n);
    }

private:
    const int64_t batch_, time_, channels_;                 // B, T, C
    RowCount count_ = -1, others_count_ = -1;               // of first texts, and of second and third ones
    Tensor first_spans_, other_spans_, targets_;            // (B,2), (2B,2), (1,B) int32
    Tensor first_vectors_, other_vectors_;                  // (1,B,C), (1,2B,C)
    Tensor predicted_tensor_;                               // (1,B) int32
    std::vector<int32_t> firsts_, others_, own_, nearest_;  // (B,2), (2B,2), (B), (B)
    std::vector<float> vectors_, cosines_;                  // (3B,C), (B)
};

}  // namespace

std::unique_ptr<LossInputs> record_contrast(const LossSource& source) { return std::make_unique<ContrastInputs>(source); }

}  // namespace nib

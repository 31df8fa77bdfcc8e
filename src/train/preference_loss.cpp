// Loss::Preference: of pairs of texts in one row, of which the first is to have the higher score. A head of texts gives the
// scores (reward models: Ouyang et al. 2022), or the log-probability of the tokens that count, less that by a reference
// (DPO: Rafailov et al. 2023).
#include <algorithm>
#include <limits>
#include <optional>

#include "core/error.h"
#include "train/loss_inputs.h"

namespace nib {
namespace {

class PreferenceInputs : public LossInputs {
public:
    explicit PreferenceInputs(const LossSource& source)
        : batch_(source.shape.batch),
          time_(source.shape.time),
          averages_(source.objective().preference.kind == Preference::Ipo) {
        Graph& g = source.g;
        if (!source.shape.ragged) fail("preferences are learned from ragged rows");
        const Head& head = source.model.head(source.objective().head);
        outputs_ = head.outputs;
        of_tokens_ = head.rows == HeadRows::Every;
        scales_tensor_ = g.input("scales", {1, batch_, 2}, DType::F32);
        offsets_tensor_ = g.input("offsets", {1, batch_, 2}, DType::F32);
        Tensor scores;  // (1,2B,1)
        if (of_tokens_) {
            chosen_.emplace(g, source.most_tokens());
            targets_tensor_ = g.input("targets", {1, chosen_->most()}, DType::I32, chosen_->count());
            texts_tensor_ = g.input("texts", {2 * batch_, 2}, DType::I32);
            const Tensor x = source.model.features(g, source.weights, head, chosen_->gather(g, source.hidden));
            const Tensor logp = g.log_probs(x, source.weights[head.output], targets_tensor_).logp;
            scores = g.mean_rows(g.view(logp, {1, chosen_->most(), 1}, 0), texts_tensor_);
            texts_.resize(static_cast<size_t>(4 * batch_));
        } else {
            rows_tensor_ = g.input("rows of texts", {2 * batch_}, DType::I32);
            const Tensor x = source.model.features(g, source.weights, head, g.gather(source.hidden, rows_tensor_));
            scores = g.linear(x, source.weights[head.output]);
            rows_of_texts_.resize(static_cast<size_t>(2 * batch_));
        }
        scores_tensor_ = g.view(scores, {1, batch_, 2}, 0);
        if (!source.trains()) g.output(scores_tensor_);
        const Tensor loss =
            g.preference_loss(scores_tensor_, scales_tensor_, offsets_tensor_, source.objective().preference);
        computes(g.output(loss), batch_, false);
        for (auto* values : {&scales_, &offsets_, &scores_}) values->resize(static_cast<size_t>(2 * batch_));
    }

    void set(const Plan& plan, const LossBatch& batch, Step& step) override {
        const auto B = static_cast<size_t>(batch_), T = static_cast<size_t>(time_);
        if (batch.numbers.size() != 2 * B) fail("%zu numbers are not two for each of %zu pairs", batch.numbers.size(), B);
        check_tokens(batch.targets, outputs_, true);
        std::fill(scales_.begin(), scales_.end(), 0.0f);
        std::fill(offsets_.begin(), offsets_.end(), std::numeric_limits<float>::quiet_NaN());
        std::fill(texts_.begin(), texts_.end(), 0);
        std::fill(rows_of_texts_.begin(), rows_of_texts_.end(), 0);
        rows_ = 0;
        int32_t row = 0, counted = 0;  // of hidden states, and of those that have a target
        for (size_t b = 0; b < B; ++b) {
            const auto length = static_cast<size_t>(batch.ragged.lengths[b]);
            if (length == 0) continue;
            int texts = 0;
            const auto first = static_cast<size_t>(2 * rows_);
            for (size_t t = 0; t < length; ++t, ++row) {
                if (t == 0 || batch.ragged.positions[b * T + t] == 0)
                    if (++texts > 2) fail("a row has more than two texts to compare");
                if (batch.targets[b * T + t] == kIgnore) continue;
                const size_t text = first + static_cast<size_t>(texts) - 1;
                if (of_tokens_) {
                    if (scales_[text] == 0) texts_[2 * text] = counted;
                    texts_[2 * text + 1] = ++counted;
                    scales_[text] = averages_ ? 1 : scales_[text] + 1;
                } else {
                    rows_of_texts_[text] = row, scales_[text] = 1;
                }
            }
            if (texts != 2 || scales_[first] == 0 || scales_[first + 1] == 0)
                fail("a row has no two texts with something to compare");
            std::copy_n(&batch.numbers[2 * b], 2, &offsets_[first]);
            ++rows_;
        }
        // Texts that are not in use begin where the last one ends.
        if (of_tokens_) std::fill(texts_.begin() + 4 * rows_, texts_.end(), counted);
        plan.set<float>(scales_tensor_, scales_);
        plan.set<float>(offsets_tensor_, offsets_);
        if (!of_tokens_) {
            plan.set<int32_t>(rows_tensor_, rows_of_texts_);
            return;
        }
        chosen_->set(plan, batch.packed, step);
        plan.set<int32_t>(targets_tensor_, chosen_->targets());
        plan.set<int32_t>(texts_tensor_, texts_);
    }

    // Of each pair the scores less those by the reference.
    void read(const Plan& plan, LossSum& to) override {
        plan.get(scores_tensor_, std::span<float>(scores_));
        for (size_t i = 0; i < scores_.size(); ++i) scores_[i] = scales_[i] * scores_[i] - offsets_[i];
        to.numbers = std::span<const float>(scores_).first(static_cast<size_t>(2 * rows_));
    }

private:
    const int64_t batch_, time_;  // B, T
    const bool averages_;         // log-probabilities of tokens, instead of adding them up
    bool of_tokens_ = false;
    int64_t outputs_ = 0;
    std::optional<ChosenRows> chosen_;
    Tensor scales_tensor_, offsets_tensor_, scores_tensor_;  // (1,B,2)
    Tensor targets_tensor_;                                  // (1,n) int32: of tokens
    Tensor texts_tensor_, rows_tensor_;                      // (2B,2), (2B) int32
    std::vector<float> scales_, offsets_, scores_;           // (B,2)
    std::vector<int32_t> texts_, rows_of_texts_;             // (2B,2), (2B)
};

}  // namespace

std::unique_ptr<LossInputs> record_preference(const LossSource& source) {
    return std::make_unique<PreferenceInputs>(source);
}

}  // namespace nib

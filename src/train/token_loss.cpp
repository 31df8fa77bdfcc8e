// Loss::CrossEntropy: of tokens, or of labels, that a head chooses from.
#include <algorithm>
#include <optional>

#include "core/error.h"
#include "train/loss_inputs.h"

namespace nib {
namespace {

class TokenLoss : public LossInputs {
public:
    explicit TokenLoss(const LossSource& source)
        : batch_(source.shape.batch), time_(source.shape.time), sparse_(source.objective().sparse()) {
        Graph& g = source.g;
        const TrainShape& shape = source.shape;
        const bool ragged = shape.ragged || source.paired_targets;
        Shape all = ragged ? Shape{1, shape.batch * shape.time} : Shape{shape.batch, shape.time};
        RowCount count = source.row_count;
        Tensor hidden = source.hidden;
        if (sparse_ && !source.paired_targets) {
            chosen_.emplace(g, source.most());
            hidden = chosen_->gather(g, hidden);
            all = {1, chosen_->most()}, count = chosen_->count();
        }
        if (!source.paired_targets) own_targets_ = g.input("targets", all, DType::I32, count);
        const bool weighted = source.objective().weighted;
        if (weighted && (source.number > 0 || !source.objective().of_rows || source.paired_targets))
            fail("only the classes of whole rows have weights");
        if (weighted) counts_for_.resize(static_cast<size_t>(batch_));
        if (source.trains() && (source.number > 0 || weighted)) weights_ = g.input("weights", all, DType::F32, count);
        const Head& head = source.model.head(source.objective().head);
        outputs_ = head.outputs;
        const Tensor x = source.model.features(g, source.weights, head, hidden);
        const float smoothing = source.trains() && source.number == 0 ? shape.label_smoothing : 0;
        const Graph::LogProbs scores =
            g.cross_entropy(x, source.weights[head.output], source.paired_targets ? source.paired_targets : own_targets_,
                            weights_, smoothing);
        if (!source.trains() && sparse_) predicted_tensor_ = g.output(scores.predicted);
        computes(g.output(scores.logp), all.elements(), true);
        if (weights_) target_weights_.resize(static_cast<size_t>(all.elements()));
        if (predicted_tensor_) predicted_.resize(static_cast<size_t>(all.elements()));
    }

    void set(const Plan& plan, const LossBatch& batch, Step& step) override {
        rows_ = batch.rows;
        if (!own_targets_) return;  // PairInputs sets them
        check_tokens(batch.targets, outputs_, true);
        if (chosen_) rows_ = chosen_->set(plan, batch.packed, step);
        plan.set(own_targets_, chosen_ ? chosen_->targets() : batch.packed);
        if (!counts_for_.empty()) take_weights(batch);
        if (!weights_) return;
        std::fill(target_weights_.begin(), target_weights_.end(), batch.weight);
        for (size_t i = 0; i < counts_for_.size(); ++i) target_weights_[i] *= counts_for_[i];
        plan.set<float>(weights_, target_weights_);
    }

    void read(const Plan& plan, LossSum& to) override {
        if (!predicted_tensor_) return;
        plan.get(predicted_tensor_, std::span<int32_t>(predicted_));
        to.predicted = std::span<const int32_t>(predicted_).first(static_cast<size_t>(to.rows));
    }

private:
    // Those of the rows that have a target, in their order; the rest is 0.
    void take_weights(const LossBatch& batch) {
        const auto T = static_cast<size_t>(time_);
        if (batch.weights.size() != counts_for_.size() || batch.targets.size() != batch.weights.size() * T)
            fail("%zu weights are not one for each of %zu rows", batch.weights.size(), counts_for_.size());
        std::fill(counts_for_.begin(), counts_for_.end(), 0.0f);
        size_t count = 0;
        for (size_t b = 0; b < batch.weights.size(); ++b)
            if (count_targets(batch.targets.subspan(b * T, T)) > 0) counts_for_[count++] = batch.weights[b];
    }

    const int64_t batch_, time_;
    const bool sparse_;
    int64_t outputs_ = 0;
    std::optional<ChosenRows> chosen_;
    Tensor own_targets_, weights_, predicted_tensor_;
    std::vector<float> target_weights_;
    std::vector<int32_t> predicted_;
};

}  // namespace

std::unique_ptr<LossInputs> record_token_loss(const LossSource& source) { return std::make_unique<TokenLoss>(source); }

}  // namespace nib

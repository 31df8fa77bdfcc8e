// Loss::Squared and Loss::Binary: of the numbers that a head says of a text, or of labels of which any number may be true.
#include <algorithm>
#include <limits>

#include "core/error.h"
#include "train/loss_inputs.h"

namespace nib {
namespace {

class NumberLoss : public LossInputs {
public:
    explicit NumberLoss(const LossSource& source)
        : batch_(source.shape.batch), time_(source.shape.time), chosen_(source.g, source.most()) {
        Graph& g = source.g;
        const Head& head = source.model.head(source.objective().head);
        outputs_ = head.outputs;
        const int64_t n = chosen_.most();
        if (source.trains() && source.number > 0) fail("numbers are learned first, not beside something else");
        const Tensor hidden = chosen_.gather(g, source.hidden);
        const Tensor x = source.model.features(g, source.weights, head, hidden);
        numbers_ = g.input("numbers", {1, n, outputs_}, DType::F32, chosen_.count());
        const Graph::Values values =
            g.value_loss(x, source.weights[head.output], numbers_, {}, source.objective().loss == Loss::Binary);
        if (!source.trains()) values_ = g.output(values.values);
        computes(g.output(values.loss), n, false);
        in_order_.resize(static_cast<size_t>(n * outputs_));
    }

    void set(const Plan& plan, const LossBatch& batch, Step& step) override {
        check_tokens(batch.targets, outputs_, true);
        rows_ = chosen_.set(plan, batch.packed, step);
        // Those of the rows that have a target, in their order.
        const auto N = static_cast<size_t>(outputs_), B = static_cast<size_t>(batch_), T = static_cast<size_t>(time_);
        if (batch.numbers.size() != B * N || batch.targets.size() != B * T)
            fail("%zu numbers are not %zu for each of %zu rows", batch.numbers.size(), N, B);
        auto at = in_order_.begin();
        for (size_t b = 0; b < B; ++b)
            if (count_targets(batch.targets.subspan(b * T, T)) > 0) at = std::copy_n(&batch.numbers[b * N], N, at);
        std::fill(at, in_order_.end(), std::numeric_limits<float>::quiet_NaN());
        plan.set<float>(numbers_, in_order_);
    }

    void read(const Plan& plan, LossSum& to) override {
        plan.get(values_, std::span<float>(in_order_));
        to.numbers = std::span<const float>(in_order_).first(static_cast<size_t>(to.rows * outputs_));
    }

private:
    const int64_t batch_, time_;
    int64_t outputs_ = 0;
    ChosenRows chosen_;
    Tensor numbers_, values_;      // (1,n,N)
    std::vector<float> in_order_;  // (n*N)
};

}  // namespace

std::unique_ptr<LossInputs> record_number_loss(const LossSource& source) { return std::make_unique<NumberLoss>(source); }

}  // namespace nib

// Loss::Policy: of the tokens that a policy wrote, by how much better or worse than others they turned out to be, and of
// the value function that is learned beside it (PPO, Schulman et al. 2017).
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "train/loss_inputs.h"

namespace nib {
namespace {

class PolicyLossInputs : public LossInputs {
public:
    explicit PolicyLossInputs(const LossSource& source)
        : objective_(source.objective()), chosen_(source.g, source.most_tokens()) {
        Graph& g = source.g;
        if (!source.shape.ragged) fail("policies are learned from ragged rows");
        const Head& head = source.model.head(objective_.head);
        outputs_ = head.outputs;
        const Shape all{1, chosen_.most()};
        targets_ = g.input("targets", all, DType::I32, chosen_.count());
        const auto numbers = [&](const char* name) { return g.input(name, all, DType::F32, chosen_.count()); };
        Graph::PolicyInputs in{.advantages = numbers("advantages"), .weights = numbers("weights")};
        if (objective_.ratios) in.old = numbers("old log-probabilities");
        if (objective_.policy.kl != 0) in.reference = numbers("log-probabilities of the reference");
        const Tensor hidden = chosen_.gather(g, source.hidden);
        const Tensor x = source.model.features(g, source.weights, head, hidden);
        const Graph::LogProbs scores =
            g.log_probs(x, source.weights[head.output], targets_, objective_.policy.entropy != 0);
        logp_ = g.output(scores.logp);
        computes(g.output(g.policy_loss(scores, in, objective_.policy)), chosen_.most(), false);
        tensors_ = {in.advantages, in.weights, in.old, in.reference, {}, {}};
        if (objective_.value_weight != 0) record_values(source, hidden);
        const auto n = static_cast<size_t>(chosen_.most());
        values_ = tensors_.map([&](const Tensor&) { return std::vector<float>(n); });
        value_weights_.resize(n);
    }

    void set(const Plan& plan, const LossBatch& batch, Step& step) override {
        check_tokens(batch.targets, outputs_, true);
        rows_ = chosen_.set(plan, batch.packed, step);
        plan.set<int32_t>(targets_, chosen_.targets());
        const auto take = [&](Tensor tensor, std::span<const float> given, std::vector<float>& values) {
            if (!tensor) return;
            if (given.size() != batch.targets.size())
                fail("%zu numbers are not one for each of %zu tokens", given.size(), batch.targets.size());
            // Those of the tokens that have a target, in their order; the others weigh nothing.
            std::fill(values.begin(), values.end(), 0.0f);
            size_t count = 0;
            for (size_t t = 0; t < given.size(); ++t)
                if (batch.targets[t] != kIgnore) values[count++] = given[t];
            plan.set<float>(tensor, values);
        };
        const PolicyNumbers& p = batch.policy;
        take(tensors_.advantages, p.advantages, values_.advantages);
        take(tensors_.weights, p.weights, values_.weights);
        take(tensors_.old, p.old, values_.old);
        take(tensors_.reference, p.reference, values_.reference);
        take(tensors_.returns, p.returns, values_.returns);
        take(tensors_.old_values, p.old_values, values_.old_values);
        if (!value_weights_tensor_) return;
        std::transform(values_.weights.begin(), values_.weights.end(), value_weights_.begin(),
                       [&](float weight) { return objective_.value_weight / 2 * weight; });
        plan.set<float>(value_weights_tensor_, value_weights_);
    }

    double sum(const Plan& plan) override {
        double sum = LossInputs::sum(plan);
        if (!value_loss_) return sum;
        const std::vector<float> losses = numbers(plan, value_loss_);
        for (size_t r = 0; r < static_cast<size_t>(rows_); ++r)
            sum += static_cast<double>(losses[r]) * static_cast<double>(value_weights_[r]);
        return sum;
    }

    void figures(const Plan& plan, std::vector<Figure>& to) const override {
        const auto count = static_cast<double>(rows_);
        if (objective_.ratios) {
            const double low = 1 - static_cast<double>(objective_.policy.clip_low),
                         high = 1 + static_cast<double>(objective_.policy.clip_high);
            const std::vector<float> logp = numbers(plan, logp_);
            double clipped = 0, divergence = 0;  // of the policy that wrote from this one (Schulman 2020, k3)
            for (size_t r = 0; r < static_cast<size_t>(rows_); ++r) {
                const double d = static_cast<double>(logp[r]) - static_cast<double>(values_.old[r]), ratio = std::exp(d);
                clipped += ratio < low || ratio > high;
                divergence += ratio - 1 - d;
            }
            to.push_back({"clip_fraction", clipped, count});
            to.push_back({"approx_kl", divergence, count});
        }
        if (!value_loss_) return;
        const std::vector<float> losses = numbers(plan, value_loss_);
        double loss = 0;
        for (size_t r = 0; r < static_cast<size_t>(rows_); ++r) loss += static_cast<double>(losses[r]) / 2;
        to.push_back({"value_loss", loss, count});
    }

private:
    void record_values(const LossSource& source, Tensor hidden) {
        Graph& g = source.g;
        const int64_t n = chosen_.most();
        const auto values = [&](const char* name) { return g.input(name, {1, n, 1}, DType::F32, chosen_.count()); };
        tensors_.returns = values("returns");
        if (objective_.value_clip != 0) tensors_.old_values = values("old values");
        value_weights_tensor_ = g.input("weights of values", {1, n}, DType::F32, chosen_.count());
        value_loss_ = g.output(g.value_loss(hidden, source.weights.value_head(), tensors_.returns, value_weights_tensor_,
                                            false, tensors_.old_values, objective_.value_clip)
                                   .loss);
    }

    // Those of the targets, in their order.
    std::vector<float> numbers(const Plan& plan, Tensor of) const {
        std::vector<float> all(static_cast<size_t>(chosen_.most()));
        plan.get(of, std::span(all));
        return all;
    }

    const Objective objective_;
    int64_t outputs_ = 0;
    ChosenRows chosen_;
    Tensor targets_;                       // (1,n) int32
    OfPolicy<Tensor> tensors_;             // (1,n); returns and old values (1,n,1); absent: nothing takes them
    OfPolicy<std::vector<float>> values_;  // (n): what is in them
    Tensor value_weights_tensor_;          // (1,n)
    std::vector<float> value_weights_;     // (n)
    Tensor logp_, value_loss_;             // (1,n)
};

}  // namespace

std::unique_ptr<LossInputs> record_policy(const LossSource& source) { return std::make_unique<PolicyLossInputs>(source); }

}  // namespace nib

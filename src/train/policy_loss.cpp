// Loss::Policy: of the tokens that a policy wrote, by how much better or worse than others they turned out to be.
#include <algorithm>

#include "core/error.h"
#include "train/loss_inputs.h"

namespace nib {
namespace {

class PolicyLossInputs : public LossInputs {
public:
    explicit PolicyLossInputs(const LossSource& source) : chosen_(source.g, source.most_tokens()) {
        Graph& g = source.g;
        if (!source.shape.ragged) fail("policies are learned from ragged rows");
        const Objective& objective = source.objective();
        const Head& head = source.model.head(objective.head);
        outputs_ = head.outputs;
        const Shape all{1, chosen_.most()};
        targets_ = g.input("targets", all, DType::I32, chosen_.count());
        const auto numbers = [&](const char* name) { return g.input(name, all, DType::F32, chosen_.count()); };
        Graph::PolicyInputs in{.advantages = numbers("advantages"), .weights = numbers("weights")};
        if (objective.ratios) in.old = numbers("old log-probabilities");
        if (objective.policy.kl != 0) in.reference = numbers("log-probabilities of the reference");
        const Tensor x = source.model.features(g, source.weights, head, chosen_.gather(g, source.hidden));
        const Graph::LogProbs scores = g.log_probs(x, source.weights[head.output], targets_, objective.policy.entropy != 0);
        computes(g.output(g.policy_loss(scores, in, objective.policy)), chosen_.most(), false);
        tensors_ = {in.advantages, in.weights, in.old, in.reference};
        values_.resize(static_cast<size_t>(chosen_.most()));
    }

    void set(const Plan& plan, const LossBatch& batch, Step& step) override {
        check_tokens(batch.targets, outputs_, true);
        rows_ = chosen_.set(plan, batch.packed, step);
        plan.set<int32_t>(targets_, chosen_.targets());
        const PolicyNumbers& p = batch.policy;
        const std::span<const float> given[] = {p.advantages, p.weights, p.old, p.reference};
        for (size_t k = 0; k < tensors_.size(); ++k) {
            if (!tensors_[k]) continue;
            if (given[k].size() != batch.targets.size())
                fail("%zu numbers are not one for each of %zu tokens", given[k].size(), batch.targets.size());
            // Those of the tokens that have a target, in their order; the others weigh nothing.
            std::fill(values_.begin(), values_.end(), 0.0f);
            size_t count = 0;
            for (size_t t = 0; t < given[k].size(); ++t)
                if (batch.targets[t] != kIgnore) values_[count++] = given[k][t];
            plan.set<float>(tensors_[k], values_);
        }
    }

private:
    int64_t outputs_ = 0;
    ChosenRows chosen_;
    Tensor targets_;                 // (1,n) int32
    std::array<Tensor, 4> tensors_;  // (1,n): advantages, weights, old and reference's log-probabilities
    std::vector<float> values_;      // (n)
};

}  // namespace

std::unique_ptr<LossInputs> record_policy(const LossSource& source) { return std::make_unique<PolicyLossInputs>(source); }

}  // namespace nib

// The reference's losses of policies and preferences, and entropies, against their formulas and finite differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "double_op.h"

namespace nib {
namespace {

using namespace test;

double log_sigmoid(double x) { return -std::log(1 + std::exp(-x)); }

// Rows 0 to 5 have ratios inside, below, above, both with advantages of either sign; row 6 does not count.
TEST(ReferencePolicy, Loss) {
    using F = operand::PolicyLoss;
    for (int options = 0; options < 8; ++options) {
        SCOPED_TRACE(options);
        const bool with_old = options & 1, with_reference = options & 2, with_entropy = options & 4;
        DoubleOp op = make_op(Op::PolicyLoss, {.B = 1, .T = 7});
        op.p.clip_low = 0.25f, op.p.clip_high = 0.5f, op.p.beta = 0.75f, op.p.entropy_weight = 0.125f;
        op.step.loss_scale = 0.25f;
        Random random(31);
        Vec old = random_vector(random, 7, -3, -1), reference = random_vector(random, 7, -3, -1),
            entropy = random_vector(random, 7, 0, 2), weights = random_vector(random, 7, 0.5f, 2), logp = old, loss(7);
        Vec advantages = {1.5, -0.5, 1.25, -1.5, 0.75, -2, NAN};
        const Vec ratios = {1.125, 0.875, 0.5, 0.625, 1.75, 2, INFINITY};
        for (size_t r = 0; r < 7; ++r) logp[r] += std::log(ratios[r]);
        weights[6] = 0, old[6] = entropy[6] = NAN, reference[6] = INFINITY;
        const auto optional = [](bool there, const Vec& values) { return there ? values.data() : nullptr; };
        const auto run = [&](double* dlogp, double* dentropy) {
            op({at(F::logp, logp), at(F::old, optional(with_old, old)),
                at(F::reference, optional(with_reference, reference)), at(F::advantages, advantages),
                at(F::weights, weights), at(F::entropy, optional(with_entropy, entropy)), at(F::loss, loss),
                at(F::dlogp, dlogp), at(F::dentropy, dentropy)});
            return 0.25 * std::accumulate(loss.begin(), loss.end(), 0.0);
        };
        Vec dlogp(7, NAN), dentropy(7, NAN);
        run(dlogp.data(), with_entropy ? dentropy.data() : nullptr);
        const Vec counted = {1.125, 0.875, 0.5, 0.75, 1.5, 2};  // the ratios that count
        for (size_t r = 0; r < 6; ++r) {
            const double A = advantages[r], d = reference[r] - logp[r];
            double expected = with_old ? -counted[r] * A : -A * logp[r];
            if (with_reference) expected += 0.75 * (std::exp(d) - d - 1);
            if (with_entropy) expected -= 0.125 * entropy[r];
            EXPECT_NEAR(loss[r], weights[r] * expected, 1e-12);
            if (with_old && !with_reference) {
                EXPECT_NEAR(dlogp[r], r == 3 || r == 4 ? 0 : -0.25 * weights[r] * A * ratios[r], 1e-12);
            }
        }
        EXPECT_EQ(loss[6], 0);
        EXPECT_EQ(dlogp[6], 0);
        logp[6] = 0;  // the rest of the row stays what it is
        const auto sum = [&] { return run(nullptr, nullptr); };
        expect_gradient("dlogp", sum, logp, dlogp);
        if (with_entropy) expect_gradient("dentropy", sum, entropy, dentropy);
    }
}

// The divergence of a policy from itself is 0, and its first ratio 1.
TEST(ReferencePolicy, LossOfTheSamePolicy) {
    using F = operand::PolicyLoss;
    DoubleOp op = make_op(Op::PolicyLoss, {.B = 1, .T = 2});
    op.p.beta = 0.5f;  // and no room for the ratio
    op.step.loss_scale = 1;
    const Vec logp = {-0.1, -7}, advantages = {2, -3}, weights = {1, 1};
    Vec loss(2), dlogp(2);
    op({at(F::logp, logp), at(F::old, logp), at(F::reference, logp), at(F::advantages, advantages), at(F::weights, weights),
        at(F::loss, loss), at(F::dlogp, dlogp)});
    EXPECT_EQ(loss, (Vec{-2, 3}));
    EXPECT_EQ(dlogp, (Vec{-2, 3}));
}

TEST(ReferencePolicy, Preferences) {
    using F = operand::PreferenceLoss;
    for (const Preference kind : {Preference::Sigmoid, Preference::Hinge, Preference::Ipo})
        for (const float smoothing : {0.0f, 0.25f}) {
            SCOPED_TRACE(static_cast<int>(kind));
            DoubleOp op = make_op(Op::PreferenceLoss, {.B = 2, .T = 2, .smoothing = smoothing, .beta = 0.5f});
            op.p.preference = kind;
            op.step.loss_scale = 0.25f;
            Vec scores = {-4, -6, -3, -9.5, NAN, 1, 2, -1}, loss(4), dscores(8, NAN);
            const Vec scales = {3, 2, 2, 4, 1, 1, 1, 3}, offsets = {-11, -10, -9, -37, NAN, NAN, 1, 0.5};
            const auto run = [&](double* gradient) {
                op({at(F::scores, scores), at(F::scales, scales), at(F::offsets, offsets), at(F::loss, loss),
                    at(F::dscores, gradient)});
                return 0.25 * std::accumulate(loss.begin(), loss.end(), 0.0);
            };
            run(dscores.data());
            const Vec margins = {1, 4, 0, 4.5};
            for (const size_t r : {0u, 1u, 3u}) {
                const double z = 0.5 * margins[r], s = static_cast<double>(smoothing);
                const double expected = kind == Preference::Sigmoid ? -(1 - s) * log_sigmoid(z) - s * log_sigmoid(-z)
                                        : kind == Preference::Hinge ? std::max(0.0, 1 - z)
                                                                    : std::pow(margins[r] - 1, 2);
                EXPECT_NEAR(loss[r], expected, 1e-12);
            }
            EXPECT_EQ(loss[2], 0);
            scores[4] = 1;
            expect_gradient(
                "dscores", [&] { return run(nullptr); }, scores, dscores);
        }
}

TEST(ReferencePolicy, ClippedValues) {
    using F = operand::ValueLoss;
    DoubleOp op = make_op(Op::ValueLoss, {.B = 1, .T = 4, .N = 2});
    op.p.clip_low = op.p.clip_high = 0.5f;
    op.step.loss_scale = 0.25f;
    // Inside; outside and nearer to the target than what it is clipped to, or farther; a row that does not count.
    Vec values = {1, -2, 3, -3, 3, -3, 1, 1}, loss(4), dvalues(8, NAN);
    const Vec targets = {2, 1, 4, -5, 0, 1, NAN, 0}, old = {1.25, -2.25, 1, -1, 1, -1, 5, 5};
    const auto run = [&](double* gradient) {
        op({at(F::values, values), at(F::targets, targets), at(F::old, old), at(F::loss, loss), at(F::dvalues, gradient)});
        return 0.25 * std::accumulate(loss.begin(), loss.end(), 0.0);
    };
    run(dvalues.data());
    EXPECT_EQ(loss, (Vec{(1 + 9) / 2.0, (2.5 * 2.5 + 3.5 * 3.5) / 2, (9 + 16) / 2.0, 0}));
    EXPECT_EQ(dvalues[2], 0);
    EXPECT_NE(dvalues[4], 0);
    expect_gradient(
        "dvalues", [&] { return run(nullptr); }, values, dvalues);
    run(values.data());  // in place
    EXPECT_EQ(values, dvalues);
}

TEST(ReferencePolicy, Entropy) {
    using F = operand::CrossEntropy;
    using B = operand::LogProbBackward;
    Random random(32);
    DoubleOp op = make_op(Op::CrossEntropy, {.B = 1, .T = 4, .N = 6});
    const std::vector<int32_t> targets = {5, 0, kIgnore, 2};
    Vec logits = random_vector(random, 24, -4, 4), logp(4), entropy(4);
    std::fill(logits.begin() + 18, logits.end(), 1.5);
    logits[23] = -INFINITY;  // what has no probability
    const Vec dlogp = random_vector(random, 4), dentropy = random_vector(random, 4);
    const auto loss = [&] {
        op({at(F::logits, logits), at(F::targets, targets), at(F::logp, logp), at(F::entropy, entropy)});
        return dot(logp, dlogp) + dot(entropy, dentropy);
    };
    loss();
    double sum = 0, expected = 0;
    for (size_t v = 0; v < 6; ++v) sum += std::exp(logits[v]);
    for (size_t v = 0; v < 6; ++v) expected -= std::exp(logits[v]) / sum * std::log(std::exp(logits[v]) / sum);
    EXPECT_NEAR(entropy[0], expected, 1e-12);
    EXPECT_EQ(entropy[2], 0);
    EXPECT_NEAR(entropy[3], std::log(5), 1e-12);
    Vec dlogits(24, NAN);
    const auto backward = [&](Vec& to) {
        op.as(Op::LogProbBackward)({at(B::logits, logits), at(B::targets, targets), at(B::dlogp, dlogp),
                                    at(B::entropy, entropy), at(B::dentropy, dentropy), at(B::dlogits, to)});
    };
    backward(dlogits);
    EXPECT_EQ(dlogits[23], 0);
    const Vec before = logits;
    backward(logits);  // in place
    EXPECT_EQ(logits, dlogits);
    logits = before, logits[23] = -800;
    expect_gradient("dlogits", loss, logits, dlogits);
}

}  // namespace
}  // namespace nib

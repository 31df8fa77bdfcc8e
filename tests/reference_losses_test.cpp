// The reference's losses of numbers, answers and sentence embeddings against their formulas and finite differences.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "double_op.h"

namespace nib {
namespace {

using namespace test;

TEST(ReferenceLosses, Values) {
    using F = operand::ValueLoss;
    for (const bool binary : {false, true})
        for (const bool with_weights : {false, true}) {
            Random random(21);
            DoubleOp op = make_op(Op::ValueLoss, {.B = 2, .T = 2, .N = 3, .binary = binary});
            op.step.loss_scale = 0.25f;
            Vec values = random_vector(random, 12, -6, 6), targets = random_vector(random, 12, 0, 1), loss(4);
            targets[6] = NAN;  // the third row does not count, whatever follows
            Vec dvalues(12, NAN);
            const Vec weights = random_vector(random, 4);
            const auto run = [&](double* gradient) {
                op({at(F::values, values), at(F::targets, targets), at(F::weights, with_weights ? weights.data() : nullptr),
                    at(F::loss, loss), at(F::dvalues, gradient)});
                double sum = 0;
                for (size_t r = 0; r < 4; ++r) sum += 0.25 * (with_weights ? weights[r] : 1) * loss[r];
                return sum;
            };
            run(dvalues.data());
            for (size_t r = 0; r < 4; ++r) {
                double expected = 0;
                for (size_t n = 3 * r; n < 3 * r + 3; ++n) {
                    const double v = values[n], t = targets[n], yes = 1 / (1 + std::exp(-v));
                    expected += binary ? -t * std::log(yes) - (1 - t) * std::log(1 - yes) : (v - t) * (v - t);
                }
                EXPECT_NEAR(loss[r], r == 2 ? 0 : expected / 3, 1e-9);
            }
            expect_gradient(
                "dvalues", [&] { return run(nullptr); }, values, dvalues);
            run(values.data());  // in place
            EXPECT_EQ(values, dvalues);
        }
}

TEST(ReferenceLosses, Spans) {
    using F = operand::SpanLoss;
    Random random(22);
    DoubleOp op = make_op(Op::SpanLoss, {.B = 2, .T = 6, .N = 5});
    op.step.loss_scale = 0.25f;
    // One row before the first text and one behind the last are of no text; the second has no rows.
    const std::vector<int32_t> texts = {1, 4, 4, 4, 5, 7, 7, 8, 8, 11};
    const std::vector<int32_t> targets = {1, 3, 4, 4, kIgnore, kIgnore, 7, 7, 9, 3};
    Vec logits = random_vector(random, 24, -5, 5), logp(5), dlogits(24, NAN);
    const auto run = [&](double* gradient) {
        op({at(F::logits, logits), at(F::texts, texts), at(F::targets, targets), at(F::logp, logp),
            at(F::dlogits, gradient)});
        double sum = 0;
        for (const double l : logp) sum -= 0.25 * l;
        return sum;
    };
    run(dlogits.data());
    double starts = 0, ends = 0;
    for (size_t r = 1; r < 4; ++r) starts += std::exp(logits[2 * r]), ends += std::exp(logits[2 * r + 1]);
    EXPECT_NEAR(logp[0], (logits[2] - std::log(starts) + logits[7] - std::log(ends)) / 2, 1e-12);
    EXPECT_EQ(logp[3], 0);                 // the only row has all the probability
    for (const size_t n : {1u, 2u, 4u}) {  // no rows, no answer, an end in another text
        EXPECT_EQ(logp[n], 0);
        for (int32_t r = texts[2 * n]; r < texts[2 * n + 1]; ++r) EXPECT_EQ(dlogits[2 * static_cast<size_t>(r)], 0);
    }
    expect_gradient(
        "dlogits", [&] { return run(nullptr); }, logits, dlogits);
    run(logits.data());  // in place
    EXPECT_EQ(logits, dlogits);
}

TEST(ReferenceLosses, MeanRowsGradient) {
    using F = operand::MeanRows;
    using B = operand::MeanRowsBackward;
    Random random(23);
    const DoubleOp op = make_op(Op::MeanRows, {.B = 2, .T = 4, .C = 3, .N = 3});
    const std::vector<int32_t> texts = {0, 3, 3, 3, 4, 6};
    Vec x = random_vector(random, 24), y(9), dx(24, NAN), sum(24, 0.5);
    const Vec dy = random_vector(random, 9);
    const auto loss = [&] {
        op({at(F::x, x), at(F::texts, texts), at(F::y, y)});
        return dot(y, dy);
    };
    loss();
    for (size_t c = 0; c < 3; ++c) {
        EXPECT_NEAR(y[c], (x[c] + x[3 + c] + x[6 + c]) / 3, 1e-15);
        EXPECT_EQ(y[3 + c], 0);
        EXPECT_NEAR(y[6 + c], (x[12 + c] + x[15 + c]) / 2, 1e-15);
    }
    op.as(Op::MeanRowsBackward)({at(B::dy, dy), at(B::texts, texts), at(B::dx, dx)});
    op.as(Op::MeanRowsBackward)({at(B::dy, dy), at(B::texts, texts), at(B::dx, sum)}, 1);
    expect_gradient("dx", loss, x, dx);
    expect_gradient("dx +=", loss, x, added(sum));
}

TEST(ReferenceLosses, NormalizeGradient) {
    using F = operand::Normalize;
    using B = operand::NormalizeBackward;
    Random random(24);
    const DoubleOp op = make_op(Op::Normalize, {.B = 1, .T = 3, .C = 5});
    Vec x = random_vector(random, 15), y(15), dx(15, 0.5);
    for (size_t c = 5; c < 10; ++c) x[c] *= 1e-4;  // shorter than eps
    const Vec dy = random_vector(random, 15);
    const auto loss = [&] {
        op({at(F::x, x), at(F::y, y)});
        return dot(y, dy);
    };
    loss();
    for (size_t r = 0; r < 3; ++r) {
        double squares = 0;
        for (size_t c = 5 * r; c < 5 * r + 5; ++c) squares += y[c] * y[c];
        if (r != 1) {
            EXPECT_NEAR(squares, 1, 1e-12);
        }
    }
    EXPECT_NEAR(y[7], x[7] / static_cast<double>(op.p.eps), 1e-12);
    op.as(Op::NormalizeBackward)({at(B::dy, dy), at(B::x, x), at(B::dx, dx)}, 1);
    expect_gradient("dx", loss, x, added(dx));
}

TEST(ReferenceLosses, SimilarityGradient) {
    using F = operand::Similarity;
    using B = operand::SimilarityBackward;
    Random random(25);
    const DoubleOp op = make_op(Op::Similarity, {.B = 2, .T = 2, .C = 3, .N = 5, .scale = 1.5f});
    Vec a = random_vector(random, 12), b = random_vector(random, 15), s(20), da(12, 0.5), db(15, 0.5);
    const Vec ds = random_vector(random, 20);
    const auto loss = [&] {
        op({at(F::a, a), at(F::b, b), at(F::s, s)});
        return dot(s, ds);
    };
    loss();
    EXPECT_NEAR(s[3 * 5 + 4], 1.5 * (a[9] * b[12] + a[10] * b[13] + a[11] * b[14]), 1e-12);
    op.as(Op::SimilarityBackward)({at(B::ds, ds), at(B::a, a), at(B::b, b), at(B::da, da), at(B::db, db)}, 3);
    expect_gradient("da", loss, a, added(da));
    expect_gradient("db", loss, b, added(db));
    Vec alone(15, NAN);
    op.as(Op::SimilarityBackward)({at(B::ds, ds), at(B::a, a), at(B::b, b), at(B::db, alone)});
    for (size_t i = 0; i < 15; ++i) EXPECT_NEAR(alone[i], db[i] - 0.5, 1e-12);
}

}  // namespace
}  // namespace nib

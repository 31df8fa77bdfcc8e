// The scalar reference against mathematics: gradients against finite differences in double, updates and losses against
// their formulas; its float instance against its double instance. reference_attention_test.cpp has attention.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "double_op.h"
#include "quant/quantize.h"

namespace nib {
namespace {

using namespace test;

constexpr Act kActs[] = {Act::None, Act::GeluTanh, Act::GeluErf, Act::Relu, Act::Silu, Act::Tanh};

TEST(Reference, EmbedGradient) {
    using F = operand::Embed;
    using B = operand::EmbedBackward;
    for (const uint32_t dropout : kDropouts)
        for (const bool tables : {false, true}) {
            Random random(1);
            DoubleOp forward = make_op(Op::Embed, {.B = 2, .T = 5, .C = 4, .N = 6, .S = 5, .L = 2, .scale = 1.5f});
            forward.p.dropout = dropout;
            const std::vector<int32_t> ids = {0, 5, 2, 2, 1, 5, 5, 0, 3, 2}, positions = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4};
            const std::vector<int32_t> segments = {0, 0, 1, 1, 1, 0, 1, 1, 1, 1};
            Vec wte = random_vector(random, 24), wpe = random_vector(random, 20), wse = random_vector(random, 8), y(40);
            const Vec dy = random_vector(random, 40);
            const auto there = [&](const auto& v) { return tables ? v.data() : nullptr; };
            const auto loss = [&] {
                forward({at(F::ids, ids), at(F::positions, there(positions)), at(F::segments, there(segments)),
                         at(F::wte, wte), at(F::wpe, there(wpe)), at(F::wse, there(wse)), at(F::y, y)});
                return dot(y, dy);
            };
            Vec dwte(24, NAN), dwpe(20, NAN), dwse(8, NAN);
            const auto backward = [&](Vec& d, uint8_t accumulate) {
                forward.as(Op::EmbedBackward)(
                    {at(B::dy, dy), at(B::ids, ids), at(B::positions, there(positions)), at(B::segments, there(segments)),
                     at(B::dwte, d), at(B::dwpe, there(dwpe)), at(B::dwse, there(dwse))},
                    accumulate);
            };
            backward(dwte, 0);
            expect_gradient("dwte", loss, wte, dwte);
            if (tables) expect_gradient("dwpe", loss, wpe, dwpe);
            if (tables) expect_gradient("dwse", loss, wse, dwse);
            Vec twice = dwte;
            backward(twice, 1);
            loss();
            for (size_t i = 0; i < twice.size(); ++i) ASSERT_NEAR(twice[i], 2 * dwte[i], 1e-12);
            for (size_t i = 0; !tables && dropout == 0 && i < y.size(); ++i)
                ASSERT_NEAR(y[i], 1.5 * wte[static_cast<size_t>(ids[i / 4]) * 4 + i % 4], 1e-12);
        }
}

TEST(Reference, NormGradient) {
    using F = operand::Norm;
    using B = operand::NormBackward;
    using W = operand::NormBackwardWeight;
    for (const bool rms : {false, true})
        for (const bool with_bias : {true, false}) {
            Random random(2);
            DoubleOp forward = make_op(Op::Norm, {.B = 2, .T = 3, .C = 7});
            forward.p.rms = rms;
            Vec x = random_vector(random, 42, -3, 3), gain = random_vector(random, 7), bias = random_vector(random, 7);
            Vec y(42), means(6), rstd(6);
            double* const mean = rms ? nullptr : means.data();
            const Vec dy = random_vector(random, 42);
            const auto run = [&](const double* shift) {
                forward({at(F::x, x), at(F::gain, gain), at(F::bias, shift), at(F::y, y), at(F::mean, mean),
                         at(F::rstd, rstd)});
                return dot(y, dy);
            };
            const auto loss = [&] { return run(with_bias ? bias.data() : nullptr); };
            loss();
            Vec dx(42, 0.5), dgain(7, NAN), dbias(7, NAN);
            forward.as(Op::NormBackward)(
                {at(B::dy, dy), at(B::x, x), at(B::gain, gain), at(B::mean, mean), at(B::rstd, rstd), at(B::dx, dx)}, 1);
            forward.as(Op::NormBackwardWeight)({at(W::dy, dy), at(W::x, x), at(W::mean, mean), at(W::rstd, rstd),
                                                at(W::dgain, dgain), at(W::dbias, with_bias ? dbias.data() : nullptr)});
            expect_gradient("dx", loss, x, added(dx));
            expect_gradient("dgain", loss, gain, dgain);
            if (with_bias) expect_gradient("dbias", loss, bias, dbias);
            std::fill(gain.begin(), gain.end(), 1.0);
            run(nullptr);
            double sum = 0, squares = 0;  // with gain 1 and no bias a row has mean square 1 - eps rstd^2
            for (size_t c = 0; c < 7; ++c) sum += y[c], squares += y[c] * y[c] / 7;
            if (!rms) {
                EXPECT_NEAR(sum, 0, 1e-12);
            }
            EXPECT_NEAR(squares, 1 - static_cast<double>(forward.p.eps) * rstd[0] * rstd[0], 1e-12);
        }
}

TEST(Reference, LinearGradient) {
    using F = operand::Linear;
    using E = operand::LinearBackwardEpilogue;
    using B = operand::LinearBackward;
    using W = operand::LinearBackwardWeight;
    for (const Act act : kActs)
        for (const uint32_t dropout : kDropouts)
            for (int options = 0; options < 8; ++options) {
                SCOPED_TRACE(testing::Message()
                             << "act " << static_cast<int>(act) << " dropout " << dropout << " options " << options);
                const bool with_bias = options & 1, with_residual = options & 2, by_columns = options & 4;
                Random random(3);
                DoubleOp forward = make_op(Op::Linear, {.B = 2, .T = 3, .C = 4, .N = 5, .act = act});
                forward.p.dropout = dropout;
                forward.p.by_columns = by_columns;
                Vec x = random_vector(random, 24), w = random_vector(random, 20), b = random_vector(random, 5);
                Vec residual = random_vector(random, 30), y(30), pre(30);
                const Vec dy = random_vector(random, 30);
                const auto loss = [&] {
                    forward({at(F::x, x), at(F::w, w), at(F::b, with_bias ? b.data() : nullptr),
                             at(F::residual, with_residual ? residual.data() : nullptr), at(F::y, y), at(F::pre, pre)});
                    return dot(y, dy);
                };
                loss();
                Vec dpre = dy, dx(24, NAN), dw(20, 0.5), db(5, 0.5);
                forward.as(Op::LinearBackwardEpilogue)(
                    {at(E::dy, dpre), at(E::pre, act == Act::None ? nullptr : pre.data()), at(E::dpre, dpre)});
                forward.as(Op::LinearBackward)({at(B::dpre, dpre), at(B::w, w), at(B::dx, dx)});
                forward.as(Op::LinearBackwardWeight)(
                    {at(W::dpre, dpre), at(W::x, x), at(W::dw, dw), at(W::db, with_bias ? db.data() : nullptr)},
                    with_bias ? 3 : 1);
                expect_gradient("dx", loss, x, dx);
                expect_gradient("dw", loss, w, added(dw));
                if (with_bias) expect_gradient("db", loss, b, added(db));
                if (with_residual) expect_gradient("dresidual", loss, residual, dy);
            }
}

TEST(Reference, LinearEpilogueGradient) {
    using F = operand::LinearEpilogue;
    using B = operand::LinearBackwardEpilogue;
    for (const Act act : kActs)
        for (const uint32_t dropout : kDropouts)
            for (const bool with_residual : {false, true}) {
                Random random(4);
                DoubleOp forward = make_op(Op::LinearEpilogue, {.B = 2, .T = 3, .N = 5, .scale = 1.75f, .act = act});
                forward.p.dropout = dropout;
                Vec pre = random_vector(random, 30), residual = random_vector(random, 30), y(30);
                const Vec dy = random_vector(random, 30);
                const auto loss = [&] {
                    forward({at(F::pre, pre), at(F::residual, with_residual ? residual.data() : nullptr), at(F::y, y)});
                    return dot(y, dy);
                };
                loss();
                Vec dpre(30, 0.5), in_place = dy;
                const auto backward = [&](const Vec& from, Vec& to, uint8_t accumulate) {
                    forward.as(Op::LinearBackwardEpilogue)(
                        {at(B::dy, from), at(B::pre, act == Act::None ? nullptr : pre.data()), at(B::dpre, to)},
                        accumulate);
                };
                backward(dy, dpre, 1);
                backward(in_place, in_place, 0);
                expect_gradient("dpre", loss, pre, added(dpre));
                expect_gradient("dpre in place", loss, pre, in_place);
                if (with_residual) expect_gradient("dresidual", loss, residual, dy);
            }
}

// Typed weights are the numbers that they unpack to.
TEST(Reference, LinearBackwardOfTypedWeights) {
    using B = operand::LinearBackward;
    int cases = 0;
    check::for_each_typed_case(Op::LinearBackward, [&](const OpCase& c) {
        if (++cases % 5 != 0) return;
        OpCase floats = c;
        floats.types = {};
        Operands<float> typed(c), plain(floats);
        for (const int i : {B::dpre, B::dx}) std::memcpy(plain[i].data(), typed[i].data(), typed[i].bytes());
        quant::unpack(c.type(B::w), typed[B::w].data(), c.p.N * c.p.C, plain[B::w].as<float>());
        typed.run(ref::table);
        plain.run(ref::table);
        ASSERT_TRUE(same(typed, plain, "typed"));
    });
    EXPECT_GT(cases, 100);
}

TEST(Reference, GluGradient) {
    using F = operand::Glu;
    using B = operand::GluBackward;
    for (const Act act : kActs) {
        Random random(11);
        const DoubleOp forward = make_op(Op::Glu, {.B = 2, .T = 3, .C = 5, .act = act});
        Vec gate = random_vector(random, 30, -3, 3), up = random_vector(random, 30), y(30), dgate(30, 0.5), dup(30, NAN);
        const Vec dy = random_vector(random, 30);
        const auto loss = [&] {
            forward({at(F::gate, gate), at(F::up, up), at(F::y, y)});
            return dot(y, dy);
        };
        forward.as(Op::GluBackward)({at(B::dy, dy), at(B::gate, gate), at(B::up, up), at(B::dgate, dgate), at(B::dup, dup)},
                                    1);
        expect_gradient("dgate", loss, gate, added(dgate));
        expect_gradient("dup", loss, up, dup);
        if (act == Act::Silu) {
            EXPECT_NEAR(y[7], gate[7] / (1 + std::exp(-gate[7])) * up[7], 1e-12);
        }
    }
}

TEST(Reference, Rope) {
    using F = operand::Rope;
    constexpr size_t kRows = 4, kChannels = 26, kHead = 8, kTurned = 6, kHeads = 2;
    for (const bool interleaved : {false, true}) {
        Random random(12);
        DoubleOp turn = make_op(Op::Rope, {.B = 2, .T = 2, .C = kChannels, .H = kHeads, .S = kTurned, .D = kHead});
        turn.p.interleaved = interleaved;
        Vec x = random_vector(random, kRows * kChannels), y(x.size()), back(x.size()), rotation(kRows * kTurned);
        for (size_t i = 0; i < rotation.size(); ++i) {
            const double angle = 0.7 * static_cast<double>(i / kTurned) + static_cast<double>(i % 3);
            rotation[i] = i % kTurned < kTurned / 2 ? std::cos(angle) : std::sin(angle);
        }
        turn({at(F::x, x), at(F::rotation, rotation), at(F::y, y)});
        Vec expected = x;
        for (size_t r = 0; r < kRows; ++r)
            for (size_t h = 0; h < kHeads; ++h)
                for (size_t i = 0; i < kTurned / 2; ++i) {
                    const size_t head = r * kChannels + h * kHead;
                    const size_t a = head + (interleaved ? 2 * i : i),
                                 b = head + (interleaved ? 2 * i + 1 : i + kTurned / 2);
                    const double angle = 0.7 * static_cast<double>(r) + static_cast<double>(i);
                    expected[a] = x[a] * std::cos(angle) - x[b] * std::sin(angle);
                    expected[b] = x[b] * std::cos(angle) + x[a] * std::sin(angle);
                }
        for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], expected[i], 1e-12) << i;
        const Vec dy = random_vector(random, kRows * kChannels);
        DoubleOp inverse = turn;
        inverse.p.inverse = true;
        inverse({at(F::x, y), at(F::rotation, rotation), at(F::y, back)});
        for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(back[i], x[i], 1e-12) << i;
        Vec dx = dy;
        inverse({at(F::x, dx), at(F::rotation, rotation), at(F::y, dx)});  // in place
        const auto loss = [&] {
            turn({at(F::x, x), at(F::rotation, rotation), at(F::y, y)});
            return dot(y, dy);
        };
        expect_gradient("dx", loss, x, dx);
    }
}

// Log-probabilities and both ways to their gradient: the loss's own, and any dlogp.
TEST(Reference, CrossEntropyGradient) {
    using F = operand::CrossEntropy;
    using B = operand::LogProbBackward;
    for (const auto& [with_weights, smoothing] : {
             std::pair(false, 0.0f), {true,  0.0f  },
               {false, 0.125f},
               {true,  0.75f }
    }) {
        Random random(6);
        DoubleOp op = make_op(Op::CrossEntropy, {.B = 1, .T = 5, .N = 7});
        op.step.loss_scale = 0.25f;
        op.p.smoothing = smoothing;
        const std::vector<int32_t> targets = {0, 6, kIgnore, 3, 3};
        std::vector<int32_t> predicted(5);
        Vec logits = random_vector(random, 35, -5, 5), logp(5), dlogits(35, NAN), through(35, NAN), dlogp(5);
        const Vec weights = random_vector(random, 5);
        const double* const given = with_weights ? weights.data() : nullptr;
        for (size_t r = 0; r < 5; ++r) dlogp[r] = -0.25 * (with_weights ? weights[r] : 1);
        const auto run = [&](double* gradient, int32_t* best) {
            op({at(F::logits, logits), at(F::targets, targets), at(F::weights, given), at(F::logp, logp),
                at(F::dlogits, gradient), at(F::predicted, best)});
            return dot(logp, dlogp);
        };
        run(dlogits.data(), predicted.data());
        EXPECT_EQ(logp[2], 0);
        for (size_t r = 0; r < 5; ++r) {
            double sum = 0, mean = 0;
            for (size_t v = 0; v < 7; ++v) sum += std::exp(logits[r * 7 + v]), mean += logits[r * 7 + v] / 7;
            if (targets[r] != kIgnore) {
                const double chosen = logits[r * 7 + static_cast<size_t>(targets[r])];
                EXPECT_NEAR(logp[r], (1 - smoothing) * chosen + smoothing * mean - std::log(sum), 1e-12);
            }
            EXPECT_EQ(predicted[r], std::max_element(&logits[r * 7], &logits[r * 7] + 7) - &logits[r * 7]);
        }
        expect_gradient(
            "dlogits", [&] { return run(nullptr, nullptr); }, logits, dlogits);
        const auto backward = [&](double* to) {
            op.as(Op::LogProbBackward)(
                {at(B::logits, logits), at(B::targets, targets), at(B::dlogp, dlogp), at(B::dlogits, to)});
        };
        backward(through.data());
        for (size_t i = 0; smoothing == 0 && i < 35; ++i) EXPECT_NEAR(through[i], dlogits[i], 1e-15);
        const Vec before = logits;  // in place
        backward(logits.data());
        EXPECT_EQ(logits, through);
        logits = before;
        run(logits.data(), nullptr);
        EXPECT_EQ(logits, dlogits);
    }
}

TEST(Reference, GatherGradient) {
    using F = operand::Gather;
    using B = operand::GatherBackward;
    Random random(7);
    Vec x = random_vector(random, 15), y(9), dx(15, NAN), sum(15, 0.5);
    const Vec dy = random_vector(random, 9);
    const std::vector<int32_t> rows = {4, 0, 4};
    const DoubleOp op = make_op(Op::Gather, {.B = 1, .T = 5, .C = 3, .N = 3});
    const auto loss = [&] {
        op({at(F::x, x), at(F::rows, rows), at(F::y, y)});
        return dot(y, dy);
    };
    loss();
    for (size_t i = 0; i < 9; ++i) EXPECT_EQ(y[i], x[static_cast<size_t>(rows[i / 3]) * 3 + i % 3]);
    op.as(Op::GatherBackward)({at(B::dy, dy), at(B::rows, rows), at(B::dx, dx)});
    op.as(Op::GatherBackward)({at(B::dy, dy), at(B::rows, rows), at(B::dx, sum)}, 1);
    expect_gradient("dx", loss, x, dx);
    expect_gradient("dx +=", loss, x, added(sum));
}

// ---- rows that are not in use ----------------------------------------------------------------------------------------

// Calls body(i, j) with the numbers of each element that a tensor of the small case has in common with the large one's.
void for_each_common(const OpCase& small, const OpCase& large, const Operand& operand,
                     const std::function<void(size_t, size_t)>& body) {
    std::vector<std::array<int64_t, 2>> sizes;
    for (const char letter : operand.shape())
        if (letter != ',') sizes.push_back({dimension(small.p, letter), dimension(large.p, letter)});
    for (int64_t i = 0; i < operand_elements(small.p, operand); ++i) {
        int64_t left = i, at = 0, step = 1;
        for (size_t d = sizes.size(); d-- > 0; left /= sizes[d][0], step *= sizes[d][1]) at += left % sizes[d][0] * step;
        body(static_cast<size_t>(i), static_cast<size_t>(at));
    }
}

// A run of fewer rows is that of a smaller problem, bit for bit, and leaves the rest as it was.
TEST(Reference, LiveRows) {
    for (int op = 0; op < kOpCount; ++op)
        check::for_each_case_of_fewer_rows(static_cast<Op>(op), [](OpCase c) {
            if (HasFatalFailure() || c.p.first_row > 0) return;
            if (op_info(c.op).has_option("causal")) c.p.dropout = 0;  // the mask's numbers depend on T and S
            OpCase small = c;
            small.row_count = small.key_row_count = -1;
            small.p.T = c.step.rows[c.row_count];
            const bool attends = op_info(c.op).has_option("causal");
            if (c.key_row_count >= 0) (attends ? small.p.S : small.p.N) = c.step.rows[c.key_row_count];
            Operands<double> large(c), alone(small), before(c);
            const auto copy = [&](check::GuardedTensor& to, const check::GuardedTensor& from, size_t i, size_t j) {
                if (from.type() == DType::I32) to.at<int32_t>(i) = from.at<int32_t>(j);
                if (from.type() == DType::F64) to.at<double>(i) = from.at<double>(j);
            };
            const auto bits = [](const check::GuardedTensor& t, size_t i) {
                return t.type() == DType::I32 ? t.at<uint32_t>(i) : t.at<uint64_t>(i);
            };
            for (int i = 0; i < kMaxOperands; ++i)
                if (c.has(i))
                    for_each_common(small, c, op_info(c.op).operands[i],
                                    [&](size_t to, size_t from) { copy(alone[i], large[i], to, from); });
            large.run(ref::table_double);
            alone.run(ref::table_double);
            for (int i = kMaxIn; i < kMaxOperands; ++i) {
                if (!c.has(i)) continue;
                std::vector<bool> common(large[i].count());
                for_each_common(small, c, op_info(c.op).operands[i], [&](size_t to, size_t from) {
                    common[from] = true;
                    ASSERT_EQ(bits(alone[i], to), bits(large[i], from)) << c.text();
                });
                // Of all dx of GatherBackward, and of all weights of a query, those that nothing goes to are zero.
                // Similarity to a row that is not in use is -infinity.
                const bool zero =
                    c.op == Op::GatherBackward || std::string_view(op_info(c.op).operands[i].name) == "weights";
                const auto written = [&](size_t j) {
                    return (zero && bits(large[i], j) == 0) ||
                           (c.op == Op::Similarity && large[i].at<double>(j) == -INFINITY);
                };
                for (size_t j = 0; j < common.size(); ++j)
                    ASSERT_TRUE(common[j] || bits(large[i], j) == bits(before[i], j) || written(j)) << c.text();
            }
        });
}

TEST(Reference, SumSquaresAndClipFactor) {
    Random random(8);
    constexpr int64_t n = 2 * kSumBlock + 100;
    const Vec x = random_vector(random, n);
    using Squares = operand::SumSquares;
    using Clip = operand::ClipFactor;
    Vec partial(3, NAN), stats(2);
    make_op(Op::SumSquares, {.C = n})({at(Squares::x, x), at(Squares::partial, partial)});
    for (int64_t block = 0; block < 3; ++block) {
        const auto begin = x.begin() + block * kSumBlock, end = x.begin() + std::min(n, (block + 1) * kSumBlock);
        EXPECT_NEAR(partial[static_cast<size_t>(block)], dot(Vec(begin, end), Vec(begin, end)), 1e-7);
    }
    DoubleOp clip = make_op(Op::ClipFactor, {.N = 3});
    const double norm = std::sqrt(dot(x, x));
    for (const float limit : {0.0f, 1.0f, 1e6f}) {
        clip.step.clip = limit;
        clip({at(Clip::partial, partial), at(Clip::stats, stats)});
        EXPECT_NEAR(stats[0], norm, 1e-9);
        EXPECT_NEAR(stats[1], limit == 1.0f ? 1 / (norm + 1e-6) : 1.0, 1e-9) << "clip " << limit;
    }
}

TEST(Reference, AdamW) {
    using A = operand::AdamW;
    for (const auto& [decay, l2] : {
             std::pair(false, false), {true,  false},
               {true,  true },
               {false, true }
    }) {
        Random random(9);
        DoubleOp op = make_op(Op::AdamW, {.C = 5});
        op.p.decay = decay, op.p.l2 = l2;
        op.step.lr = 0.25f, op.step.beta1 = 0.875f, op.step.beta2 = 0.9375f, op.step.eps = 0x1p-20f;
        op.step.weight_decay = 0.125f;
        const Vec stats = {3, 0.5};
        Vec w = random_vector(random, 5), m(5), v(5), w2 = w, m2(5), v2(5);
        for (int t = 1; t <= 4; ++t) {  // as published, written out
            const Vec g = random_vector(random, 5);
            op.step.correction1 = static_cast<float>(1 - std::pow(0.875, t));
            op.step.correction2 = static_cast<float>(1 - std::pow(0.9375, t));
            op({at(A::g, g), at(A::stats, stats), at(A::w, w), at(A::m, m), at(A::v, v)});
            for (size_t i = 0; i < 5; ++i) {
                const double gi = 0.5 * g[i] + (decay && l2 ? 0.125 * w2[i] : 0);
                m2[i] = 0.875 * m2[i] + 0.125 * gi;
                v2[i] = 0.9375 * v2[i] + 0.0625 * gi * gi;
                const double m_hat = m2[i] / (1 - std::pow(0.875, t)), v_hat = v2[i] / (1 - std::pow(0.9375, t));
                if (decay && !l2) w2[i] -= 0.25 * 0.125 * w2[i];
                w2[i] -= 0.25 * m_hat / (std::sqrt(v_hat) + 0x1p-20);
                ASSERT_NEAR(m[i], m2[i], l2 ? 1e-7 : 1e-14);
                ASSERT_NEAR(v[i], v2[i], l2 ? 1e-7 : 1e-14);
                ASSERT_NEAR(w[i], w2[i], 1e-7) << "step " << t;  // corrections are floats
            }
        }
    }
}

TEST(Reference, Sgd) {
    using S = operand::Sgd;
    for (const bool momentum : {false, true}) {
        Random random(10);
        DoubleOp op = make_op(Op::Sgd, {.C = 5});
        op.p.decay = true;
        op.step.lr = 0.25f, op.step.momentum = 0.5f, op.step.weight_decay = 0.125f;
        const Vec stats = {3, 0.5};
        Vec w = random_vector(random, 5), w2 = w, m(5), m2(5);
        for (int t = 0; t < 3; ++t) {
            const Vec g = random_vector(random, 5);
            op({at(S::g, g), at(S::stats, stats), at(S::w, w), at(S::m, momentum ? m.data() : nullptr)});
            for (size_t i = 0; i < 5; ++i) {
                m2[i] = (momentum ? 0.5 * m2[i] : 0) + 0.5 * g[i] + 0.125 * w2[i];
                w2[i] -= 0.25 * m2[i];
                ASSERT_NEAR(w[i], w2[i], 1e-14);
                ASSERT_NEAR(m[i], momentum ? m2[i] : 0, 1e-14);
            }
        }
    }
}

TEST(Reference, Adagrad) {
    using A = operand::Adagrad;
    for (const bool decay : {false, true}) {
        Random random(11);
        DoubleOp op = make_op(Op::Adagrad, {.C = 5});
        op.p.decay = decay;
        op.step.lr = 0.25f, op.step.eps = 0x1p-20f, op.step.weight_decay = 0.125f;
        const Vec stats = {3, 0.5};
        Vec w = random_vector(random, 5), w2 = w, v(5), v2(5);
        for (int t = 0; t < 3; ++t) {
            const Vec g = random_vector(random, 5);
            op({at(A::g, g), at(A::stats, stats), at(A::w, w), at(A::v, v)});
            for (size_t i = 0; i < 5; ++i) {
                const double d = 0.5 * g[i] + (decay ? 0.125 * w2[i] : 0);
                v2[i] += d * d;
                w2[i] -= 0.25 * d / (std::sqrt(v2[i]) + 0x1p-20);
                ASSERT_NEAR(v[i], v2[i], 1e-14);
                ASSERT_NEAR(w[i], w2[i], 1e-14);
            }
        }
    }
}

// The float instance computes what the double instance does, on every case that the kernels are tested with.
TEST(Reference, FloatEqualsDouble) {
    for (int i = 0; i < kOpCount; ++i)
        for_each_case(static_cast<Op>(i), {1, 2, 3, 17, 64}, [](const OpCase& c) {
            if (HasFatalFailure()) return;
            Operands<float> single(c);
            Operands<double> exact(c);
            single.run(ref::table);
            exact.run(ref::table_double);
            const bool cancels =
                c.op == Op::NormBackward || c.op == Op::NormBackwardWeight || c.op == Op::AttentionBackward;
            ASSERT_TRUE(near_to(single, exact, cancels ? Tolerance{2e-6, 4e-6, 1} : Tolerance{1e-6, 2e-6, 1e-2}));
            for (int o = kMaxIn; o < kMaxOperands; ++o)  // nothing is left out
                for (size_t j = 0; single[o].type() == DType::F32 && j < single[o].count(); ++j)
                    ASSERT_FALSE(std::isnan(single[o].at<float>(j)))
                        << c.text() << " " << op_info(c.op).operands[o].name << "[" << j << "]";
        });
}

}  // namespace
}  // namespace nib

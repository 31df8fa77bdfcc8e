// The scalar reference against mathematics: gradients against finite differences in double, updates and losses against
// their formulas, random numbers against published ones; and its float instance against its double instance.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/philox.h"
#include "op_cases.h"

namespace nib {
namespace {

using namespace test;
using Vec = std::vector<double>;

// A call of the double-precision reference. Null pointers are absent tensors.
struct DoubleOp {
    Op op;
    Params p;
    Step step;
    void operator()(std::initializer_list<const void*> in, std::initializer_list<void*> out, uint8_t accumulate = 0) const {
        Call call;
        call.op = op;
        call.p = p;
        call.step = &step;
        call.accumulate = accumulate;
        std::copy(in.begin(), in.end(), call.in);
        std::copy(out.begin(), out.end(), call.out);
        ref::table_double.run[static_cast<int>(op)](call, {0, op_units(op, p)}, nullptr);
    }
    DoubleOp as(Op other) const { return {other, p, step}; }
};

Vec random_vector(Random& random, int64_t n, float low = -1, float high = 1) {
    Vec v(static_cast<size_t>(n));
    for (double& x : v) x = random.uniform(low, high);
    return v;
}

double dot(const Vec& a, const Vec& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

// Every element of `gradient` against (f(x + h) - f(x - h)) / 2h.
void expect_gradient(const char* what, const std::function<double()>& f, Vec& x, const Vec& gradient) {
    constexpr double h = 1e-5;
    ASSERT_EQ(x.size(), gradient.size());
    for (size_t i = 0; i < x.size(); ++i) {
        const double at = x[i];
        x[i] = at + h;
        const double above = f();
        x[i] = at - h;
        const double below = f();
        x[i] = at;
        const double expected = (above - below) / (2 * h);
        ASSERT_NEAR(gradient[i], expected, 1e-8 + 1e-7 * std::abs(expected)) << what << "[" << i << "]";
    }
}

DoubleOp make_op(Op op, int64_t B, int64_t T, int64_t C, int64_t N = 0, int64_t H = 0, int64_t S = 0) {
    DoubleOp made{op, {}, {}};
    made.p.B = B, made.p.T = T, made.p.C = C, made.p.N = N, made.p.H = H, made.p.S = S;
    made.p.eps = 1e-3f;
    made.p.stream = 3;
    made.step.seed = 42;
    made.step.index = 9;
    return made;
}

constexpr uint32_t kDropouts[] = {0, 20000};

TEST(Reference, EmbedGradient) {
    for (const uint32_t dropout : kDropouts) {
        Random random(1);
        DoubleOp forward = make_op(Op::Embed, 2, 5, 4, 6, 0, 5);
        forward.p.dropout = dropout;
        const std::vector<int32_t> ids = {0, 5, 2, 2, 1, 5, 5, 0, 3, 2}, positions = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4};
        Vec wte = random_vector(random, 24), wpe = random_vector(random, 20), y(40);
        const Vec dy = random_vector(random, 40);
        const auto loss = [&] {
            forward({ids.data(), positions.data(), wte.data(), wpe.data()}, {y.data()});
            return dot(y, dy);
        };
        Vec dwte(24, NAN), dwpe(20, NAN);
        forward.as(Op::EmbedBackward)({dy.data(), ids.data(), positions.data()}, {dwte.data(), dwpe.data()});
        expect_gradient("dwte", loss, wte, dwte);
        expect_gradient("dwpe", loss, wpe, dwpe);
        Vec twice = dwte;
        forward.as(Op::EmbedBackward)({dy.data(), ids.data(), positions.data()}, {twice.data(), nullptr}, 1);
        for (size_t i = 0; i < twice.size(); ++i) ASSERT_NEAR(twice[i], 2 * dwte[i], 1e-12);
    }
}

TEST(Reference, NormGradient) {
    for (const bool with_bias : {true, false}) {
        Random random(2);
        const DoubleOp forward = make_op(Op::Norm, 2, 3, 7);
        Vec x = random_vector(random, 42, -3, 3), gain = random_vector(random, 7), bias = random_vector(random, 7);
        Vec y(42), mean(6), rstd(6);
        const Vec dy = random_vector(random, 42);
        const auto loss = [&] {
            forward({x.data(), gain.data(), with_bias ? bias.data() : nullptr}, {y.data(), mean.data(), rstd.data()});
            return dot(y, dy);
        };
        loss();
        Vec dx(42, 0.5), dgain(7, NAN), dbias(7, NAN);
        forward.as(Op::NormBackward)({dy.data(), x.data(), gain.data(), mean.data(), rstd.data()}, {dx.data()}, 1);
        for (double& d : dx) d -= 0.5;
        forward.as(Op::NormBackwardWeight)({dy.data(), x.data(), mean.data(), rstd.data()},
                                           {dgain.data(), with_bias ? dbias.data() : nullptr});
        expect_gradient("dx", loss, x, dx);
        expect_gradient("dgain", loss, gain, dgain);
        if (with_bias) expect_gradient("dbias", loss, bias, dbias);
        double sum = 0, squares = 0;  // with gain 1 and no bias a row has mean 0 and variance 1 - eps rstd^2
        std::fill(gain.begin(), gain.end(), 1.0);
        forward({x.data(), gain.data(), nullptr}, {y.data(), mean.data(), rstd.data()});
        for (size_t c = 0; c < 7; ++c) sum += y[c], squares += y[c] * y[c] / 7;
        EXPECT_NEAR(sum, 0, 1e-12);
        EXPECT_NEAR(squares, 1 - static_cast<double>(forward.p.eps) * rstd[0] * rstd[0], 1e-12);
    }
}

TEST(Reference, LinearGradient) {
    for (const Act act : {Act::None, Act::GeluTanh, Act::GeluErf, Act::Relu})
        for (const uint32_t dropout : kDropouts)
            for (int options = 0; options < 8; ++options) {
                SCOPED_TRACE(testing::Message()
                             << "act " << static_cast<int>(act) << " dropout " << dropout << " options " << options);
                const bool with_bias = options & 1, with_residual = options & 2, by_columns = options & 4;
                Random random(3);
                DoubleOp forward = make_op(Op::Linear, 2, 3, 4, 5);
                forward.p.act = act;
                forward.p.dropout = dropout;
                forward.p.by_columns = by_columns;
                Vec x = random_vector(random, 24), w = random_vector(random, 20), b = random_vector(random, 5);
                Vec residual = random_vector(random, 30), y(30), pre(30);
                const Vec dy = random_vector(random, 30);
                const auto loss = [&] {
                    forward({x.data(), w.data(), with_bias ? b.data() : nullptr, with_residual ? residual.data() : nullptr},
                            {y.data(), pre.data()});
                    return dot(y, dy);
                };
                loss();
                Vec dpre = dy, dx(24, NAN), dw(20, 2.0), db(5, 2.0);
                forward.as(Op::LinearBackwardEpilogue)({dpre.data(), act == Act::None ? nullptr : pre.data()},
                                                       {dpre.data()});
                forward.as(Op::LinearBackward)({dpre.data(), w.data()}, {dx.data()});
                forward.as(Op::LinearBackwardWeight)({dpre.data(), x.data()}, {dw.data(), with_bias ? db.data() : nullptr},
                                                     with_bias ? 3 : 1);
                for (double& d : dw) d -= 2;
                for (double& d : db) d -= 2;
                expect_gradient("dx", loss, x, dx);
                expect_gradient("dw", loss, w, dw);
                if (with_bias) expect_gradient("db", loss, b, db);
                if (with_residual) expect_gradient("dresidual", loss, residual, dy);
            }
}

TEST(Reference, AttentionGradient) {
    for (const uint32_t dropout : kDropouts) {
        Random random(4);
        DoubleOp forward = make_op(Op::Attention, 2, 6, 6, 6, 2);
        forward.p.dropout = dropout;
        Vec qkv = random_vector(random, 2 * 6 * 18, -2, 2), y(72), lse(24), dqkv(216, NAN);
        const Vec dy = random_vector(random, 72);
        const auto loss = [&] {
            forward({qkv.data()}, {y.data(), lse.data()});
            return dot(y, dy);
        };
        loss();
        forward.as(Op::AttentionBackward)({dy.data(), qkv.data(), y.data(), lse.data()}, {dqkv.data()});
        expect_gradient("dqkv", loss, qkv, dqkv);
    }
}

TEST(Reference, AttentionIsCausalAndTheCacheGivesTheSame) {
    Random random(5);
    const DoubleOp forward = make_op(Op::Attention, 2, 6, 6, 6, 2);
    Vec qkv = random_vector(random, 216), y(72), lse(24), changed(72);
    forward({qkv.data()}, {y.data(), lse.data()});
    Vec other = qkv;
    for (size_t i = 4 * 18; i < 6 * 18; ++i) other[i] += 1;  // rows 4 and 5 of the first sequence
    forward({other.data()}, {changed.data(), lse.data()});
    for (size_t i = 0; i < 72; ++i) ASSERT_EQ(changed[i] == y[i], i / 6 < 4 || i / 6 >= 6) << i;

    // Rows 0..3, then one at a time.
    DoubleOp cached = make_op(Op::AttentionCached, 2, 4, 6, 6, 2, 9);
    Vec keys(2 * 2 * 9 * 3, NAN), values(keys);
    for (int32_t first = 0; first < 6;) {
        const int32_t rows = first == 0 ? 4 : 1;
        cached.p.T = rows;
        Vec part;
        std::vector<int32_t> positions;
        for (int32_t b = 0; b < 2; ++b)
            for (int32_t t = first; t < first + rows; ++t) {
                positions.push_back(t);
                part.insert(part.end(), qkv.begin() + (b * 6 + t) * 18, qkv.begin() + (b * 6 + t + 1) * 18);
            }
        Vec result(static_cast<size_t>(2 * rows * 6));
        cached({part.data(), positions.data()}, {result.data(), keys.data(), values.data()});
        for (int32_t b = 0; b < 2; ++b)
            for (int32_t i = 0; i < rows * 6; ++i)
                ASSERT_NEAR(result[static_cast<size_t>(b * rows * 6 + i)], y[static_cast<size_t>((b * 6 + first) * 6 + i)],
                            1e-12);
        first += rows;
    }
}

TEST(Reference, CrossEntropyGradient) {
    Random random(6);
    DoubleOp op = make_op(Op::CrossEntropy, 1, 5, 1, 7);
    op.step.loss_scale = 0.25f;
    const std::vector<int32_t> targets = {0, 6, kIgnore, 3, 3};
    std::vector<int32_t> predicted(5);
    Vec logits = random_vector(random, 35, -5, 5), losses(5), dlogits(35, NAN);
    const auto loss = [&] {
        op({logits.data(), targets.data()}, {losses.data(), nullptr, nullptr});
        return 0.25 * (losses[0] + losses[1] + losses[2] + losses[3] + losses[4]);
    };
    op({logits.data(), targets.data()}, {losses.data(), dlogits.data(), predicted.data()});
    EXPECT_EQ(losses[2], 0);
    for (size_t r = 0; r < 5; ++r) {
        double sum = 0;
        for (size_t v = 0; v < 7; ++v) sum += std::exp(logits[r * 7 + v]);
        if (targets[r] != kIgnore) {
            EXPECT_NEAR(losses[r], std::log(sum) - logits[r * 7 + static_cast<size_t>(targets[r])], 1e-12);
        }
        EXPECT_EQ(predicted[r], std::max_element(&logits[r * 7], &logits[r * 7] + 7) - &logits[r * 7]);
    }
    expect_gradient("dlogits", loss, logits, dlogits);
    op({logits.data(), targets.data()}, {losses.data(), logits.data(), nullptr});  // in place
    EXPECT_EQ(logits, dlogits);
}

TEST(Reference, GatherRows) {
    Random random(7);
    const Vec x = random_vector(random, 15);
    const std::vector<int32_t> which = {4, 0, 4};
    Vec y(9);
    make_op(Op::GatherRows, 1, 5, 3, 3)({x.data(), which.data()}, {y.data()});
    for (size_t i = 0; i < 9; ++i) EXPECT_EQ(y[i], x[static_cast<size_t>(which[i / 3]) * 3 + i % 3]);
}

TEST(Reference, SumSquaresAndClipFactor) {
    Random random(8);
    constexpr int64_t n = 2 * kSumBlock + 100;
    const Vec x = random_vector(random, n);
    Vec partial(3, NAN), stats(2);
    make_op(Op::SumSquares, 1, 1, n)({x.data()}, {partial.data()});
    for (int64_t block = 0; block < 3; ++block) {
        const auto begin = x.begin() + block * kSumBlock, end = x.begin() + std::min(n, (block + 1) * kSumBlock);
        EXPECT_NEAR(partial[static_cast<size_t>(block)], dot(Vec(begin, end), Vec(begin, end)), 1e-7);
    }
    DoubleOp clip = make_op(Op::ClipFactor, 1, 1, 1, 3);
    const double norm = std::sqrt(dot(x, x));
    for (const float limit : {0.0f, 1.0f, 1e6f}) {
        clip.step.clip = limit;
        clip({partial.data()}, {stats.data()});
        EXPECT_NEAR(stats[0], norm, 1e-9);
        EXPECT_NEAR(stats[1], limit == 1.0f ? 1 / (norm + 1e-6) : 1.0, 1e-9) << "clip " << limit;
    }
}

TEST(Reference, AdamW) {
    for (const bool decay : {false, true}) {
        Random random(9);
        DoubleOp op = make_op(Op::AdamW, 1, 1, 5);
        op.p.decay = decay;
        op.step.lr = 0.25f, op.step.beta1 = 0.875f, op.step.beta2 = 0.9375f, op.step.eps = 0x1p-20f;
        op.step.weight_decay = 0.125f;
        const Vec stats = {3, 0.5};
        Vec w = random_vector(random, 5), m(5), v(5), w2 = w, m2(5), v2(5);
        for (int t = 1; t <= 4; ++t) {  // as published, written out
            const Vec g = random_vector(random, 5);
            op.step.correction1 = static_cast<float>(1 - std::pow(0.875, t));
            op.step.correction2 = static_cast<float>(1 - std::pow(0.9375, t));
            op({g.data(), stats.data()}, {w.data(), m.data(), v.data()});
            for (size_t i = 0; i < 5; ++i) {
                const double gi = 0.5 * g[i];
                m2[i] = 0.875 * m2[i] + 0.125 * gi;
                v2[i] = 0.9375 * v2[i] + 0.0625 * gi * gi;
                const double m_hat = m2[i] / (1 - std::pow(0.875, t)), v_hat = v2[i] / (1 - std::pow(0.9375, t));
                if (decay) w2[i] -= 0.25 * 0.125 * w2[i];
                w2[i] -= 0.25 * m_hat / (std::sqrt(v_hat) + 0x1p-20);
                ASSERT_NEAR(m[i], m2[i], 1e-14);
                ASSERT_NEAR(v[i], v2[i], 1e-14);
                ASSERT_NEAR(w[i], w2[i], 1e-7) << "step " << t;  // corrections are floats
            }
        }
    }
}

TEST(Reference, Sgd) {
    for (const bool momentum : {false, true}) {
        Random random(10);
        DoubleOp op = make_op(Op::Sgd, 1, 1, 5);
        op.p.decay = true;
        op.step.lr = 0.25f, op.step.momentum = 0.5f, op.step.weight_decay = 0.125f;
        const Vec stats = {3, 0.5};
        Vec w = random_vector(random, 5), w2 = w, m(5), m2(5);
        for (int t = 0; t < 3; ++t) {
            const Vec g = random_vector(random, 5);
            op({g.data(), stats.data()}, {w.data(), momentum ? m.data() : nullptr});
            for (size_t i = 0; i < 5; ++i) {
                m2[i] = (momentum ? 0.5 * m2[i] : 0) + 0.5 * g[i];
                w2[i] = w2[i] * (1 - 0.25 * 0.125) - 0.25 * m2[i];
                ASSERT_NEAR(w[i], w2[i], 1e-14);
                ASSERT_NEAR(m[i], momentum ? m2[i] : 0, 1e-14);
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
            for (int o = 0; o < kMaxOut; ++o) {  // nothing is left out
                if (!single.out[o].present() || (c.op == Op::AttentionCached && o > 0)) continue;
                if (single.out[o].type() != DType::F32) continue;
                for (size_t j = 0; j < single.out[o].count(); ++j)
                    ASSERT_FALSE(std::isnan(single.out[o].as<float>()[j])) << c.text() << " out[" << o << "][" << j << "]";
            }
        });
}

using Words = std::array<uint32_t, 4>;

TEST(Philox, PublishedVectors) {  // Random123, kat_vectors: philox4x32 10
    EXPECT_EQ(philox({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, DropoutBitsAreLaidOutAsDocumented) {
    const uint64_t seed = 0x1122334455667788;
    for (const uint64_t group : {uint64_t{0}, uint64_t{3}, uint64_t{1} << 30}) {  // the last needs the second counter word
        for (uint64_t e = 0; e < 128; ++e) {
            const uint64_t block = group * 16 + e % 16, half = e / 16;
            const Words words = philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 6, 17}, seed);
            const uint32_t expected = half % 2 ? words[half / 2] >> 16 : words[half / 2] & 0xFFFF;
            ASSERT_EQ(dropout_bits(seed, 17, 6, group * 128 + e), expected);
        }
    }
}

TEST(Philox, DropoutRate) {
    constexpr int64_t R = 500, C = 400, n = R * C;
    const std::vector<int32_t> ids(R, 0);
    const Vec ones(C, 1.0);
    for (const double rate : {0.01, 0.1, 0.5, 0.9}) {
        DoubleOp op = make_op(Op::Embed, 1, R, C, 1);
        op.p.dropout = static_cast<uint32_t>(std::lround(rate * 65536));
        const auto mask = [&](uint64_t seed, uint32_t index, uint32_t stream) {
            op.step.seed = seed, op.step.index = index, op.p.stream = stream;
            Vec y(n);
            op({ids.data(), nullptr, ones.data(), nullptr}, {y.data()});
            return y;
        };
        const Vec base = mask(1, 0, 0);
        const double p = op.p.dropout / 65536.0, sigma = std::sqrt(p * (1 - p) / n);
        double dropped = 0, sum = 0, pairs = 0;
        for (size_t i = 0; i < n; ++i) {
            ASSERT_TRUE(base[i] == 0 || std::abs(base[i] - 1 / (1 - p)) < 1e-6);
            dropped += base[i] == 0;
            sum += base[i];
            pairs += i > 0 && base[i] == 0 && base[i - 1] == 0;
        }
        EXPECT_NEAR(dropped / n, p, 4 * sigma) << rate;
        EXPECT_NEAR(sum / n, 1, 4 * sigma / (1 - p)) << rate;  // the mean is kept
        const double pair_tolerance = 5 * p / std::sqrt(static_cast<double>(n)) + 8 * p * sigma;
        EXPECT_NEAR(pairs / n, p * p, pair_tolerance) << rate;  // neighbours are independent
        // Another seed, micro-batch or stream is another mask.
        for (const Vec& other : {mask(2, 0, 0), mask(1, 1, 0), mask(1, 0, 1)}) {
            double both = 0;
            for (size_t i = 0; i < n; ++i) both += base[i] == 0 && other[i] == 0;
            EXPECT_NEAR(both / n, p * p, pair_tolerance) << rate;
        }
        EXPECT_EQ(base, mask(1, 0, 0));
    }
}

}  // namespace
}  // namespace nib

// The reference's attention against mathematics: every mask and layout, its gradient against finite differences in double,
// and the cache against the whole.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "double_op.h"

namespace nib {
namespace {

using namespace test;

// An attention over random numbers, its operands perhaps slices of wider rows, of which the other columns are zero.
struct AttentionCase {
    DoubleOp op;
    int64_t q_stride, k_stride;
    Vec q, k, v, y, lse, weights;
    std::vector<int32_t> spans;

    AttentionCase(Params p, int64_t beside, bool with_spans) : op(make_op(Op::Attention, p)) {
        op.p.C = p.H * p.D, op.p.K = p.G * p.D;
        op.p.scale = 0.6f;
        q_stride = op.p.C + beside, k_stride = op.p.K + beside;
        Random random(4);
        q = random_vector(random, p.B * p.T * q_stride, -2, 2);
        k = random_vector(random, p.B * p.S * k_stride, -2, 2);
        v = random_vector(random, p.B * p.S * k_stride, -2, 2);
        y.resize(static_cast<size_t>(p.B * p.T * op.p.C));
        lse.resize(static_cast<size_t>(p.B * p.H * p.T));
        weights.resize(static_cast<size_t>(p.B * p.H * p.T * p.S));
        for (int64_t r = 0; with_spans && r < p.B * p.T; ++r) {  // the third row of each sequence sees nothing
            const int64_t t = r % p.T, begin = t < 2 ? 0 : t < 4 ? 2 : 3, end = t < 3 ? 2 : p.S - (r < p.T && t == 3);
            spans.insert(spans.end(), {static_cast<int32_t>(begin), static_cast<int32_t>(end)});
        }
    }
    const int32_t* ends() const { return spans.empty() ? nullptr : spans.data(); }
    void run(bool with_weights = false) {
        using F = operand::Attention;
        op({at(F::q, q, q_stride), at(F::k, k, k_stride), at(F::v, v, k_stride), at(F::spans, ends()), at(F::y, y),
            at(F::lse, lse), at(F::weights, with_weights ? weights.data() : nullptr)});
    }
};

// Every mask: causal, window, spans and all of them together, and every layout.
void for_each_attention(const std::function<void(AttentionCase&)>& body) {
    for (int options = 0; options < 64; ++options) {
        const bool causal = options & 1, window = options & 2, with_spans = options & 4;
        const bool grouped = options & 8, cross = options & 16, sliced = options & 32;
        if (causal && cross) continue;
        SCOPED_TRACE(testing::Message() << "options " << options);
        AttentionCase c({.B = 2,
                         .T = 5,
                         .H = 4,
                         .G = grouped ? 2 : 4,
                         .S = cross ? 7 : 5,
                         .D = 2,
                         .window = window ? 2 : 0,
                         .causal = causal},
                        sliced ? 3 : 0, with_spans);
        body(c);
    }
}

TEST(Reference, AttentionGradient) {
    using B = operand::AttentionBackward;
    for (const uint32_t dropout : kDropouts)
        for_each_attention([&](AttentionCase& c) {
            Random random(5);
            c.op.p.dropout = dropout;
            const Vec dy = random_vector(random, static_cast<int64_t>(c.y.size()));
            const auto loss = [&] {
                c.run();
                return dot(c.y, dy);
            };
            loss();
            Vec dq(c.q.size()), dk(c.k.size()), dv(c.v.size());
            c.op.as(Op::AttentionBackward)({at(B::dy, dy), at(B::q, c.q, c.q_stride), at(B::k, c.k, c.k_stride),
                                            at(B::v, c.v, c.k_stride), at(B::spans, c.ends()), at(B::y, c.y),
                                            at(B::lse, c.lse), at(B::dq, dq, c.q_stride), at(B::dk, dk, c.k_stride),
                                            at(B::dv, dv, c.k_stride)});
            expect_gradient("dq", loss, c.q, dq);
            expect_gradient("dk", loss, c.k, dk);
            expect_gradient("dv", loss, c.v, dv);
        });
}

// The weights are a softmax over the keys that the query sees, and what y is a mean of.
TEST(Reference, AttentionWeights) {
    for_each_attention([](AttentionCase& c) {
        c.run(true);
        const Params& p = c.op.p;
        for (int64_t unit = 0; unit < p.B * p.H; ++unit)
            for (int64_t t = 0; t < p.T; ++t) {
                const int64_t b = unit / p.H, h = unit % p.H, g = h / (p.H / p.G);
                const double* row = &c.weights[static_cast<size_t>((unit * p.T + t) * p.S)];
                double sum = 0, y = 0;
                bool any = false;
                for (int64_t s = 0; s < p.S; ++s) {
                    const int32_t* span = c.spans.empty() ? nullptr : &c.spans[static_cast<size_t>(2 * (b * p.T + t))];
                    const bool sees = (!p.causal || s <= t) && (p.window == 0 || s > t - p.window) &&
                                      (span == nullptr || (s >= span[0] && s < span[1]));
                    ASSERT_EQ(row[s] > 0, sees) << "unit " << unit << " t " << t << " s " << s;
                    any = any || sees;
                    sum += row[s];
                    y += row[s] * c.v[static_cast<size_t>((b * p.S + s) * c.k_stride + g * p.D + 1)];
                    double score = 0;
                    for (int64_t d = 0; d < p.D; ++d)
                        score += c.q[static_cast<size_t>((b * p.T + t) * c.q_stride + h * p.D + d)] *
                                 c.k[static_cast<size_t>((b * p.S + s) * c.k_stride + g * p.D + d)];
                    if (sees) {
                        ASSERT_NEAR(std::log(row[s]),
                                    static_cast<double>(p.scale) * score - c.lse[static_cast<size_t>(unit * p.T + t)],
                                    1e-12);
                    }
                }
                ASSERT_NEAR(sum, any ? 1 : 0, 1e-12);
                ASSERT_NEAR(c.y[static_cast<size_t>((b * p.T + t) * p.C + h * p.D + 1)], y, 1e-12);
            }
    });
}

// Rows of two sequences, stored and attended in turn, give what the sequences give at once.
TEST(Reference, TheCacheGivesTheSameAttention) {
    using K = operand::CacheStore;
    using A = operand::AttentionCached;
    for (const int64_t window : {0, 3})
        for (const DType type : {DType::F32, DType::F16}) {
            AttentionCase whole({.B = 2, .T = 6, .H = 4, .G = 2, .S = 6, .D = 3, .window = window, .causal = true}, 2,
                                false);
            whole.run();
            const Params& p = whole.op.p;
            DoubleOp cached =
                make_op(Op::AttentionCached, {.B = 1, .C = p.C, .N = 3, .H = 4, .G = 2, .S = 9, .K = p.K, .D = 3});
            cached.p.scale = p.scale, cached.p.window = window;
            const size_t size = 3 * 2 * 9 * 3;  // (N,G,S,D) of doubles, or of f16
            Vec keys(size, NAN), values(keys);
            const std::vector<std::vector<int>> steps = {
                {0,  1, 2, 3},
                {6, 4, 7},
                {8,  9},
                {5, 10},
                {11 }
            };  // rows b * 6 + t
            for (const std::vector<int>& rows : steps) {
                cached.p.T = static_cast<int64_t>(rows.size());
                Vec q, k, v, y(rows.size() * static_cast<size_t>(p.C));
                std::vector<int32_t> slots, positions, spans;
                for (const int row : rows) {
                    const auto append = [&](Vec& to, const Vec& from, int64_t stride, int64_t width) {
                        to.insert(to.end(), from.begin() + row * stride, from.begin() + row * stride + width);
                    };
                    append(q, whole.q, whole.q_stride, p.C);
                    append(k, whole.k, whole.k_stride, p.K);
                    append(v, whole.v, whole.k_stride, p.K);
                    slots.push_back(2 - row / 6);
                    positions.push_back(row % 6);
                    spans.insert(spans.end(), {0, row % 6 + 1});
                }
                cached.as(Op::CacheStore)({at(K::k, k), at(K::v, v), at(K::slots, slots), at(K::positions, positions),
                                           at(K::keys, keys, 0, type), at(K::values, values, 0, type)});
                cached({at(A::q, q), at(A::slots, slots), at(A::spans, spans), at(A::keys, keys, 0, type),
                        at(A::values, values, 0, type), at(A::y, y)});
                for (size_t i = 0; i < y.size(); ++i) {
                    const auto C = static_cast<size_t>(p.C);
                    ASSERT_NEAR(y[i], whole.y[static_cast<size_t>(rows[i / C]) * C + i % C],
                                type == DType::F32 ? 1e-12 : 3e-3);
                }
            }
        }
}

}  // namespace
}  // namespace nib

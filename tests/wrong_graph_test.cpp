// What recording and plans refuse.
#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "gpt_case.h"
#include "ref/kernels.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

Weight weight_at(const char* name, Shape shape, int buffer = 0, size_t offset = 0) {
    Weight w;
    w.name = name, w.shape = shape, w.value = {buffer, offset};
    return w;
}

// Whatever a caller gets wrong is an Error that says what, on one line, and never ends the process.
TEST(Graph, WrongTensorsAreRefused) {
    Graph g(Mode::Train);
    const Tensor x = g.input("x", {2, 3, 8}, DType::F32), flat = g.input("flat", {6, 8}, DType::F32);
    EXPECT_MENTIONS(error_of([] { Graph(Mode::Train, DType::BF16); }), "f32 or f16");
    EXPECT_MENTIONS(error_of([] { Shape({1, 1, 1, 1, 1}); }), "5 dimensions");
    EXPECT_MENTIONS(error_of([&] { g.make({2, -3}); }), "(2,-3)");
    EXPECT_MENTIONS(error_of([&] { g.make({5}, DType::Q8_0); }), "5 numbers are no whole number of q8_0 blocks of 32");
    EXPECT_MENTIONS(error_of([&] { g.make({5}, static_cast<DType>(99)); }), "no type 99");
    EXPECT_MENTIONS(error_of([&] { g.input("y", {2, 3}, DType::F32, 0); }), "no row count 0");
    for (const Tensor t : {Tensor{}, Tensor{1000}}) {
        EXPECT_MENTIONS(error_of([&] { g.info(t); }), "missing, or of another graph");
        EXPECT_MENTIONS(error_of([&] { g.output(t); }), "missing, or of another graph");
        EXPECT_MENTIONS(error_of([&] { g.want_gradient(t); }), "missing, or of another graph");
        EXPECT_MENTIONS(error_of([&] { g.gradient(t); }), "missing, or of another graph");
        EXPECT_MENTIONS(error_of([&] { g.norm(t, {weight_at("gain", {8}), {}}); }), "missing, or of another graph");
    }
    EXPECT_MENTIONS(error_of([&] { g.view(x, {2, 3, 8}, 4); }), "does not fit into a tensor (2,3,8)");
    EXPECT_MENTIONS(error_of([&] { g.view(x, {1}, SIZE_MAX); }), "does not fit into a tensor (2,3,8)");
    for (const auto& [first, count] : {
             std::pair{-1, 2},
             {0,  0},
             {7,  2},
             {9,  1}
    })
        EXPECT_MENTIONS(error_of([&, f = first, c = count] { g.columns(x, f, c); }), "has no columns");
    EXPECT_MENTIONS(error_of([&] { g.columns(flat, 0, 2); }), "a tensor (6,8) has no columns 0 to 1");
    for (const auto& [heads, kv] : {
             std::pair{0, 0 },
             {2, -1},
             {3, 1 }
    })
        EXPECT_MENTIONS(error_of([&, h = heads, k = kv] { g.split_qkv(x, h, k); }), "does not divide into");
    EXPECT_MENTIONS(error_of([&] { g.fixed("w", {2}, DType::F32, {}); }), "`w` has no place");
    g.weight(weight_at("one", {4}));
    EXPECT_MENTIONS(error_of([&] { g.weight(weight_at("two", {2, 2})); }), "`two` (2,2) has the place of `one` (4)");
    Weight half = weight_at("half", {4}, 1);
    half.type = DType::F16;
    EXPECT_MENTIONS(error_of([&] { g.weight(half); }), "`half` is f16; only f32 is trained");
    half.trained = false;
    EXPECT_TRUE(g.weight(half));
}

TEST(Graph, WrongLossesOfPoliciesAreRefused) {
    Graph g(Mode::Train);
    const Tensor x = g.input("x", {2, 3, 8}, DType::F32), of_rows = g.input("of rows", {2, 3}, DType::F32),
                 ids = g.input("ids", {2, 3}, DType::I32), pairs = g.input("pairs", {2, 3, 2}, DType::F32);
    g.want_gradient(x);
    const Graph::LogProbs plain = g.log_probs(x, {weight_at("head", {5, 8}), {}}, ids);
    const auto policy = [&](const Graph::LogProbs& scores, const Graph::PolicyInputs& in,
                            const Graph::PolicyOptions& options) {
        return error_of([&] { g.policy_loss(scores, in, options); });
    };
    const Graph::PolicyInputs in{.advantages = of_rows, .weights = of_rows, .old = of_rows};
    EXPECT_MENTIONS(policy({}, in, {}), "missing, or of another graph");
    EXPECT_MENTIONS(policy(plain, {.advantages = of_rows, .weights = {}}, {}), "operand `weights` is missing");
    EXPECT_MENTIONS(policy({.logp = of_rows, .predicted = {}}, {.advantages = x, .weights = of_rows}, {}),
                    "operand `advantages` has shape (2,3,8)");
    for (const float clip : {-0.1f, NAN}) {
        EXPECT_MENTIONS(policy(plain, in, {.clip_low = clip}), "a ratio cannot be clipped to");
        EXPECT_MENTIONS(policy(plain, in, {.clip_high = clip}), "a ratio cannot be clipped to");
    }
    EXPECT_MENTIONS(policy(plain, in, {.kl = 0.1f}), "needs its log-probabilities");
    EXPECT_MENTIONS(policy(plain, in, {.kl = NAN}), "cannot have weights nan and 0");
    EXPECT_MENTIONS(policy(plain, in, {.entropy = INFINITY}), "cannot have weights 0 and inf");
    EXPECT_MENTIONS(policy(plain, in, {.entropy = 0.1f}), "but was not asked for");
    const auto preference = [&](Tensor scores, const Graph::PreferenceOptions& options) {
        return error_of([&] { g.preference_loss(scores, pairs, pairs, options); });
    };
    EXPECT_MENTIONS(preference(x, {}), "operand `scores` has shape (2,3,8)");
    EXPECT_MENTIONS(preference(of_rows, {}), "operand `scores` has shape (2,3)");
    for (const float beta : {0.0f, -1.0f, INFINITY, NAN})
        EXPECT_MENTIONS(preference(pairs, {.beta = beta}), "a margin cannot have the weight");
    for (const float smoothing : {-0.1f, 0.5f, NAN})
        EXPECT_MENTIONS(preference(pairs, {.smoothing = smoothing}), "a label smoothing of");
    EXPECT_MENTIONS(preference(pairs, {.kind = Preference::Ipo, .smoothing = 0.1f}), "or not of the sigmoid loss");
    // A gradient is given once, and to all of a tensor.
    g.want_gradient(pairs);
    g.preference_loss(pairs, pairs, pairs, {});
    EXPECT_MENTIONS(preference(pairs, {}), "(2,3,2) has a gradient already");
    EXPECT_MENTIONS(preference(g.view(x, {2, 3, 2}, 0), {}), "a part (2,3,2) of a tensor cannot be given a gradient");
}

// A view of other rows has no row count; what views of a whole tensor get as gradients, they add up there.
TEST(Graph, ViewsOfAWholeTensor) {
    CpuBackend backend(ref::table, 1);
    Graph g(Mode::Train);
    const RowCount count = g.add_row_count();
    const Tensor x = g.input("x", {1, 4, 2}, DType::F32, count), texts = g.input("texts", {1, 2}, DType::I32);
    g.want_gradient(x);
    EXPECT_EQ(g.info(g.view(x, {2, 2, 2}, 0)).row_count, count);
    EXPECT_EQ(g.info(g.view(x, {1, 2, 4}, 0)).row_count, -1);
    const Tensor scales = g.input("scales", {1, 1, 2}, DType::F32), offsets = g.input("offsets", {1, 1, 2}, DType::F32);
    for (int i = 0; i < 2; ++i)
        g.preference_loss(g.mean_rows(g.view(x, {1, 4, 2}, 0), texts), scales, offsets, {.kind = Preference::Hinge});
    g.record_backward();
    const Tensor dx = g.output(g.gradient(x).tensor);
    const Plan plan = compile(g, backend);
    plan.set<float>(x, std::vector<float>(8)), plan.set<int32_t>(texts, std::vector<int32_t>{1, 3});
    plan.set<float>(scales, std::vector<float>{4, 8}), plan.set<float>(offsets, std::vector<float>{0, 0});
    Step step;
    step.loss_scale = 1;
    plan.run(step);
    std::vector<float> got(8);
    plan.get(dx, std::span(got));
    EXPECT_EQ(got, (std::vector<float>{0, 0, -4, 8, -4, 8, 0, 0}));
}

TEST(Graph, WrongOperationsAreRefused) {
    Graph g(Mode::Train);
    const Tensor x = g.input("x", {2, 3, 8}, DType::F32), flat = g.input("flat", {6, 8}, DType::F32),
                 rotation = g.input("rotation", {2, 3, 4}, DType::F32), ids = g.input("ids", {2, 3}, DType::I32);
    size_t place = 0;  // of a weight: each has its own
    const auto linear = [&](Shape shape) { return LinearWeights{weight_at("w", shape, 2, place += 4096), {}}; };
    EXPECT_MENTIONS(error_of([&] { g.linear(x, {}); }), "op `linear`: operand `w` is missing");
    EXPECT_MENTIONS(error_of([&] {
                        g.linear(x, linear({4, 7}));
                    }),
                    "operand `w` has shape (4,7), which does not fit (N,C)");
    EXPECT_MENTIONS(error_of([&] { g.linear(flat, linear({4, 8})); }), "operand `x` has shape (6,8)");
    EXPECT_MENTIONS(error_of([&] { g.linear(ids, linear({4, 8})); }), "op `linear`: operand `x` has type i32");
    EXPECT_MENTIONS(error_of([&] { g.glu(x, rotation, Act::Silu); }), "op `glu`: operand `up` has shape (2,3,4)");
    EXPECT_MENTIONS(error_of([&] { g.add(Op::Glu, {}, {x, x, x}, {x}); }), "op `glu`: operand `(none)` is one too many");
    EXPECT_MENTIONS(error_of([&] { g.add(Op::Glu, {}, {x, x}, {x, x, x, x, x}); }), "op `glu`: too many operands");
    for (const float dropout : {-0.1f, 1.0f, NAN})
        EXPECT_MENTIONS(error_of([&] { g.linear(x, linear({8, 8}), {.dropout = dropout}); }), "a dropout of ");
    const auto rope = [&](Tensor t, Tensor angles, int64_t heads, int64_t size) {
        return error_of([&] { g.rope(t, angles, {.heads = heads, .head_size = size}); });
    };
    for (const auto& [heads, size] : {
             std::pair{0, 4},
             {2, 0},
             {3, 4},
             {4, 2}
    })
        EXPECT_MENTIONS(rope(x, rotation, heads, size), "are not in a tensor (2,3,8)");
    EXPECT_MENTIONS(rope(flat, rotation, 2, 4), "are not in a tensor (6,8)");
    const Tensor narrow = g.input("narrow", {2, 3, 4}, DType::F32);
    const auto attention = [&](const Qkv& qkv, const AttentionOptions& options) {
        return error_of([&] { g.attention(qkv, options); });
    };
    for (const auto& [heads, kv] : {
             std::pair{0,  0},
             {3,  0},
             {-2, 1},
             {4,  3}
    })
        EXPECT_MENTIONS(attention({x, x, x}, {.heads = heads, .kv_heads = kv}), "does not fit queries (2,3,8)");
    EXPECT_MENTIONS(attention({x, narrow, narrow}, {.heads = 2}), "keys (2,3,4) are not 2 heads of 4 numbers");
    EXPECT_MENTIONS(attention({x, x, narrow}, {.heads = 2}), "op `attention`: operand `v` has shape (2,3,4)");
    EXPECT_MENTIONS(attention({x, {}, {}}, {.heads = 2}), "op `attention`: operand `k` is missing");
    EXPECT_MENTIONS(attention({x, x, x}, {.heads = 2, .window = -1}), "a window of -1 keys is negative");
    EXPECT_MENTIONS(attention({x, x, x}, {.heads = 2, .spans = ids}), "operand `spans` has shape (2,3)");
    const Tensor turned = g.input("turned", {3, 2}, DType::I32);
    EXPECT_MENTIONS(error_of([&] { g.cross_entropy(x, linear({5, 8}), turned); }), "have shape (2,3), not (3,2)");
    EXPECT_MENTIONS(error_of([&] { g.cross_entropy(x, {}, ids); }), "a head () does not fit hidden states (2,3,8)");
    EXPECT_MENTIONS(error_of([&] { g.log_probs(flat, linear({5, 8}), ids); }), "does not fit hidden states (6,8)");
    EXPECT_MENTIONS(error_of([&] { g.cross_entropy(x, linear({5, 7}), ids); }), "operand `w` has shape (5,7)");
    const Tensor texts = g.input("texts", {4, 2}, DType::I32);
    EXPECT_MENTIONS(error_of([&] { g.value_loss(x, linear({5, 8}), x, {}, true); }), "operand `targets` has shape (2,3,8)");
    EXPECT_MENTIONS(error_of([&] {
                        g.value_loss(x, linear({8, 8}), x, flat, false);
                    }),
                    "operand `weights` has shape (6,8)");
    EXPECT_MENTIONS(error_of([&] { g.value_loss(x, linear({8, 8}), x, {}, true, x, 0.2f); }), "not of labels");
    EXPECT_MENTIONS(error_of([&] {
                        g.value_loss(x, linear({8, 8}), x, {}, false, ids, 0.2f);
                    }),
                    "operand `old` has type i32");
    for (const float clip : {-0.1f, NAN})
        EXPECT_MENTIONS(error_of([&] {
                            g.value_loss(x, linear({8, 8}), x, {}, false, x, clip);
                        }),
                        "values cannot be clipped");
    EXPECT_MENTIONS(error_of([&] { g.span_loss(x, linear({3, 8}), texts, texts); }), "operand `logits` has shape (2,3,3)");
    EXPECT_MENTIONS(error_of([&] { g.span_loss(x, linear({2, 8}), texts, ids); }), "operand `targets` has shape (2,3)");
    EXPECT_MENTIONS(error_of([&] { g.mean_rows(x, ids); }), "op `mean_rows`: operand `texts` has shape (2,3)");
    EXPECT_MENTIONS(error_of([&] { g.normalize(ids); }), "op `normalize`: operand `x` has type i32");
    EXPECT_MENTIONS(error_of([&] { g.similarity(x, x); }), "operand `b` has shape (2,3,8), which does not fit (1,N,C)");
    const Tensor means = g.mean_rows(x, texts);
    EXPECT_MENTIONS(error_of([&] { g.similarity(rotation, means); }), "operand `b` has shape (1,4,8)");
    EXPECT_MENTIONS(error_of([&] { g.contrastive_loss(x, means, 20, turned); }), "operand `targets` has shape (3,2)");
}

TEST(Graph, OperationsOfTheOtherModeAreRefused) {
    Graph train(Mode::Train), infer(Mode::Infer);
    const KvCache cache{
        {0, 0  },
        {0, 256},
        DType::F32, 1, 2, 4, 4
    };
    const auto tensors = [](Graph& g) {
        return std::tuple{g.input("x", {1, 3, 8}, DType::F32), g.input("slots", {1, 3}, DType::I32),
                          g.input("spans", {1, 3, 2}, DType::I32)};
    };
    const auto [tx, ts, tspans] = tensors(train);
    EXPECT_MENTIONS(error_of([&, x = tx, s = ts] { train.store(cache, x, x, s, s); }), "for inference only");
    EXPECT_MENTIONS(error_of([&, x = tx, s = ts, spans = tspans] {
                        train.attention_cached(x, cache, s, {.heads = 2, .spans = spans});
                    }),
                    "for inference only");
    EXPECT_MENTIONS(error_of([&] { infer.record_backward(); }), "no backward pass");
    const auto [x, slots, spans] = tensors(infer);
    const Tensor narrow = infer.input("narrow", {1, 3, 4}, DType::F32);
    EXPECT_MENTIONS(error_of([&, s = slots] { infer.store(cache, narrow, narrow, s, s); }),
                    "keys (1,3,4) do not fit a cache (1,2,4,4)");
    EXPECT_MENTIONS(
        error_of([&, q = x, s = slots, seen = spans] { infer.attention_cached(q, cache, s, {.heads = 4, .spans = seen}); }),
        "4 key/value heads of 2 numbers do not fit a cache (1,2,4,4)");
}

TEST(Graph, WrongGradientsAreRefused) {
    Graph g(Mode::Train);
    const Tensor x = g.input("x", {2, 3, 8}, DType::F32), other = g.make({2, 3, 4});
    EXPECT_MENTIONS(error_of([&] {
                        g.accumulate({
                            {x, true}
                        });
                    }),
                    "there is no node");
    EXPECT_MENTIONS(error_of([&] { g.set_gradient(x, other); }), "not one of shape (2,3,4)");
    g.gradient(x);
    EXPECT_MENTIONS(error_of([&] { g.set_gradient(x, g.make_like(x)); }), "has a gradient already");
    // Keys that are queries, too: their gradients would be written twice.
    g.want_gradient(x);
    const Tensor y = g.attention({x, x, x}, {.heads = 2}), weight = g.weight(weight_at("head", {5, 8}));
    EXPECT_TRUE(g.wants_gradient(weight));
    g.cross_entropy(y, {weight_at("head", {5, 8}), {}}, g.input("targets", {2, 3}, DType::I32));
    EXPECT_MENTIONS(error_of([&] { g.record_backward(); }), "something else takes, too");
}

TEST(Plan, WrongValuesAreRefused) {
    CpuBackend backend(ref::table, 1);
    Graph g(Mode::Infer);
    const Tensor x = g.input("x", {1, 2, 4}, DType::F32);
    const Tensor y = g.output(g.glu(x, x, Act::Silu));
    const auto small = std::make_shared<const Arena>(backend, 64);
    Graph wide(Mode::Infer);
    const Tensor w = wide.input("w", {1, 2, 400}, DType::F32);
    wide.output(wide.glu(w, w, Act::Silu));
    EXPECT_MENTIONS(error_of([&] { compile(wide, backend, small); }), "an arena of 64 bytes is too small");
    const Plan plan = compile(g, backend);
    std::vector<float> values(9);
    EXPECT_MENTIONS(error_of([&] { plan.set<float>(x, std::span(values).first(7)); }), "input `x` takes 32 bytes, not 28");
    EXPECT_MENTIONS(error_of([&] { plan.set<float>(x, values); }), "input `x` takes 32 bytes, not 36");
    EXPECT_MENTIONS(error_of([&] { plan.get(y, std::span(values)); }), "has 32 bytes, not 36");
    EXPECT_MENTIONS(error_of([&] { plan.set<float>(Tensor{1000}, values); }), "of another graph");
    EXPECT_MENTIONS(error_of([&] { plan.get(Tensor{}, std::span(values)); }), "of another graph");
    plan.set<float>(x, std::span(values).first(8));
    plan.run({});
    plan.get(y, std::span(values).first(3));
}

// Kernels trust the numbers in their inputs.
TEST(Plan, NumbersOutsideTheirTensorsAreRefused) {
    CpuBackend backend(ref::table, 1);
    Graph g(Mode::Infer);
    const Arena arena(backend, 1 << 16);
    const auto weight = [&](const char* name, Shape shape) {
        const size_t at = std::string_view(name) == "positions" ? 1024 : 0;
        return Weight{
            name, shape, DType::F32, {arena.buffer(),   at},
               {                }
        };
    };
    const Tensor ids = g.input("ids", {2, 3}, DType::I32), positions = g.input("positions", {2, 3}, DType::I32);
    const Tensor targets = g.input("targets", {2, 3}, DType::I32), rows = g.input("rows", {4}, DType::I32);
    const Tensor spans = g.input("spans", {2, 3, 2}, DType::I32), slots = g.input("slots", {1, 4}, DType::I32);
    const Tensor cached = g.input("cached", {1, 4, 2}, DType::I32);
    Tensor x = g.embed({ids, positions}, {weight("tokens", {7, 4}), weight("positions", {5, 4}), {}});
    x = g.attention({x, x, x}, {.heads = 2, .causal = false, .spans = spans});
    g.output(g.cross_entropy(x, {weight("tokens", {7, 4}), {}}, targets).logp);
    const Tensor some = g.gather(x, rows);
    const Tensor texts = g.input("texts", {3, 2}, DType::I32);
    g.output(g.mean_rows(x, texts));
    const KvCache cache{
        {arena.buffer(), 2048},
        {arena.buffer(), 4096},
        DType::F32, 2, 2, 5, 2
    };
    AttentionOptions options{.heads = 2};
    options.spans = cached;
    g.output(g.attention_cached(some, cache, slots, options));
    const Plan plan = compile(g, backend);
    const auto error = [&](Tensor t, std::vector<int32_t> values) {
        return error_of([&] { plan.set<int32_t>(t, values); });
    };
    EXPECT_EQ(error(ids, {0, 1, 2, 3, 4, 6}), "");
    EXPECT_MENTIONS(error(ids, {0, 1, 2, 3, 4, 7}), "input `ids`: number 5 is 7, and not one of 7");
    EXPECT_MENTIONS(error(ids, {0, -1, 2, 3, 4, 6}), "number 1 is -1");
    EXPECT_MENTIONS(error(positions, {0, 1, 2, 0, 1, 5}), "input `positions`: number 5 is 5, and not one of 5");
    EXPECT_EQ(error(targets, {0, kIgnore, 2, 3, 4, 6}), "");
    EXPECT_MENTIONS(error(targets, {0, -2, 2, 3, 4, 6}), "number 1 is -2");
    EXPECT_MENTIONS(error(targets, {0, 7, 2, 3, 4, 6}), "number 1 is 7");
    EXPECT_EQ(error(rows, {5, 0, 5, 1}), "");
    EXPECT_MENTIONS(error(rows, {5, 0, 6, 1}), "input `rows`: number 2 is 6, and not one of 6");
    EXPECT_EQ(error(spans, {0, 2, 0, 2, 2, 3, 0, 1, 1, 1, 1, 3}), "");
    EXPECT_MENTIONS(error(spans, {0, 2, 0, 2, 2, 4, 0, 1, 1, 1, 1, 3}), "row 2 has the keys from 2 to 4 of 3");
    EXPECT_MENTIONS(error(spans, {0, 2, 0, 2, -1, 3, 0, 1, 1, 1, 1, 3}), "row 2 has the keys from -1 to 3 of 3");
    EXPECT_MENTIONS(error(spans, {0, 2, 2, 1, 2, 3, 0, 1, 1, 1, 1, 3}), "row 1 has the keys from 2 to 1 of 3");
    EXPECT_MENTIONS(error(spans, {1, 2, 0, 2, 2, 3, 0, 1, 1, 1, 1, 3}),
                    "row 1 begin or end before those of the row before");
    EXPECT_MENTIONS(error(spans, {0, 2, 0, 2, 2, 3, 1, 2, 1, 1, 1, 3}),
                    "row 4 begin or end before those of the row before");
    EXPECT_EQ(error(cached, {0, 5, 0, 2, 1, 1, 0, 1}), "");  // each row has a slot of its own, so the order is free
    EXPECT_MENTIONS(error(cached, {0, 6, 0, 2, 1, 1, 0, 1}), "row 0 has the keys from 0 to 6 of 5");
    EXPECT_EQ(error(texts, {0, 2, 2, 2, 3, 6}), "");
    EXPECT_MENTIONS(error(texts, {0, 2, 2, 2, 3, 7}), "input `texts`: text 2 has the rows from 3 to 7 of 6");
    EXPECT_MENTIONS(error(texts, {0, 2, 3, 2, 3, 6}), "input `texts`: text 1 has the rows from 3 to 2 of 6");
    EXPECT_MENTIONS(error(texts, {0, 2, 2, 4, 3, 6}), "input `texts`: text 2 begins before the one before it ends");
    EXPECT_MENTIONS(error(slots, {0, 1, 2, 0}), "input `slots`: number 2 is 2, and not one of 2");
}

}  // namespace
}  // namespace nib

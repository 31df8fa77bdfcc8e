// Training on pairs of lines: which tokens they become, and a Transformer that learns to reverse.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/philox.h"
#include "infer/beam.h"
#include "model/families.h"
#include "model/loaded_model.h"
#include "task/pairs.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

struct PairsTest : TinyTraining {
    struct Row {
        std::string source, ids, targets;  // "-": kIgnore
        int32_t source_length;
        bool operator==(const Row&) const = default;
    };
    // Pair i of a text for a context of 5.
    Row row(const Pairs& pairs, const CharTokenizer& tokenizer, int64_t i) const {
        std::vector<int32_t> source(5), ids(5), targets(5);
        TaskRow row{ids, targets, source};
        pairs.read(i, row);
        const auto text = [&](const std::vector<int32_t>& of) {
            std::string all;
            for (const int32_t id : of) all += id == kIgnore ? "-" : tokenizer.decode(id);
            return all;
        };
        return {text(source), text(ids), text(targets), row.source_length};
    }
    std::string error_of_pairs(const std::string& text) {
        put("pairs.tsv", text);
        TrainRequest r = request("m");
        r.inputs = {(folder_ / "pairs.tsv").string()};
        r.options.arch = "transformer";
        return error_of(r);
    }
};

TEST_F(PairsTest, WhatTheyBecome) {
    put("pairs.tsv", "abc\txy\n\n\tz\nabcd\twxyz");
    const Corpus corpus({(folder_ / "pairs.tsv").string()});
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(corpus.characters());
    const Pairs pairs({corpus, tokenizer}, {0, corpus.size()}, 5);
    ASSERT_EQ(pairs.count(), 3);
    EXPECT_EQ(row(pairs, tokenizer, 0), (Row{"abc\n\n", "\txy\n\n", "xy\n--", 4}));
    EXPECT_EQ(row(pairs, tokenizer, 1), (Row{"\n\n\n\n\n", "\tz\n\n\n", "z\n---", 1}));
    EXPECT_EQ(row(pairs, tokenizer, 2), (Row{"abcd\n", "\twxyz", "wxyz\n", 5}));
    EXPECT_EQ(pairs.targets(0), 3);
    EXPECT_EQ(Pairs({corpus, tokenizer}, {0, 7}, 5).count(), 1) << "a line belongs to where it begins";
    EXPECT_EQ(Pairs({corpus, tokenizer}, {3, corpus.size()}, 5).count(), 2);
}

TEST_F(PairsTest, LinesOfSeveralFilesAndOfWindows) {
    put("a.tsv", "a\tb\r\nb\ta");
    put("b.tsv", "\r\nab\tb\r\n");
    const Corpus corpus({(folder_ / "a.tsv").string(), (folder_ / "b.tsv").string()});
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(corpus.characters());
    const Pairs pairs({corpus, tokenizer}, {0, corpus.size()}, 5);
    ASSERT_EQ(pairs.count(), 3);
    EXPECT_EQ(row(pairs, tokenizer, 0), (Row{"a\n\n\n\n", "\tb\n\n\n", "b\n---", 2}));
    EXPECT_EQ(row(pairs, tokenizer, 1), (Row{"b\n\n\n\n", "\ta\n\n\n", "a\n---", 2}));
    EXPECT_EQ(row(pairs, tokenizer, 2), (Row{"ab\n\n\n", "\tb\n\n\n", "b\n---", 3}));
    EXPECT_MENTIONS(test::error_of([&] { Pairs({corpus, tokenizer}, {0, corpus.size()}, 2); }), "b.tsv: line 2: a source");
}

TEST_F(PairsTest, WhatIsNone) {
    std::string more;
    for (int i = 0; i < 20; ++i) more += "c\td\n";
    EXPECT_MENTIONS(error_of_pairs("abc def\nghi"), "no lines of a source, a tab and a target");
    EXPECT_MENTIONS(error_of_pairs("a\tb\nab\n" + more), "line 2: not a source, a tab and a target: it has 0 tabs");
    EXPECT_MENTIONS(error_of_pairs("a\tb\tc\n" + more), "line 1: not a source, a tab and a target: it has 2 tabs");
    EXPECT_MENTIONS(error_of_pairs("12345678\tb\n" + more),
                    "pairs.tsv: line 1: a source of 8 characters, but a context of 8 has room for 7");
    EXPECT_MENTIONS(error_of_pairs("b\t12345678\n" + more), "line 1: a target of 8 characters");
    EXPECT_MENTIONS(error_of_pairs("a\tb\n"), "too few pairs: 1 to train and 0 to validate");
    EXPECT_FALSE(has("m.gguf"));
}

TEST_F(PairsTest, OptionsOfAnEncoder) {
    TrainRequest r = request("m");
    r.options.encoder_layers = 2;
    EXPECT_MENTIONS(error_of(r), "is 2, but gpt2 has no encoder");
    r.options.encoder_layers = 0, r.options.norm_first = true;
    EXPECT_MENTIONS(error_of(r), "cannot be chosen for gpt2");
}

// Pairs of a batch lie one behind the other: none sees another, and what comes after a pair's last target is not computed.
TEST(PackedPairs, EachIsByItself) {
    constexpr int64_t B = 3, T = 6;
    ModelConfig c;
    c.arch = "transformer";
    kTransformer.defaults(c);
    c.layers = 2, c.heads = 2, c.embd = 16, c.context = T, c.vocab = 11;
    kTransformer.complete(c);
    CpuBackend backend(kernel_table("auto"), 2);
    TrainShape shape;
    shape.batch = B, shape.time = T;
    TrainStep train(backend, c, shape);
    train.initialise(3);
    std::vector<int32_t> ids(B * T), source(B * T), targets(B * T, kIgnore);
    const std::vector<int32_t> lengths = {6, 1, 4}, counts = {2, 6, 3};
    for (size_t i = 0; i < ids.size(); ++i) {
        ids[i] = static_cast<int32_t>(i * i % 11), source[i] = static_cast<int32_t>(i * 7 % 11);
        if (static_cast<int32_t>(i % T) < counts[i / T]) targets[i] = static_cast<int32_t>(i * 5 % 11);
    }
    const LossSum together = train.evaluate(ids, targets, {source, lengths});
    EXPECT_EQ(together.rows, 2 + 6 + 3);
    double sum = 0;
    for (size_t b = 0; b < B; ++b) {
        const auto thrice = [&](const std::vector<int32_t>& of) {
            std::vector<int32_t> all;
            for (int64_t i = 0; i < B; ++i) all.insert(all.end(), &of[b * T], &of[b * T] + T);
            return all;
        };
        const std::vector<int32_t> source_of = thrice(source), lengths_of(B, lengths[b]);
        sum += train.evaluate(thrice(ids), thrice(targets), {source_of, lengths_of}).sum / B;
    }
    EXPECT_NEAR(together.sum, sum, 1e-4);

    // The second of three is left out: what stands in its place is not even read.
    std::vector<int32_t> some_ids = ids, some_targets = targets;
    std::fill_n(some_ids.begin() + T, T, 99), std::fill_n(some_targets.begin() + T, T, kIgnore);
    const std::vector<int32_t> some_lengths = {6, 0, 4};
    const LossSum some = train.evaluate(some_ids, some_targets, {source, some_lengths});
    EXPECT_EQ(some.rows, 2 + 3);
    const std::vector<int32_t> second = {0, 1, 0};
    std::vector<int32_t> only = targets;
    std::fill_n(only.begin(), T, kIgnore), std::fill_n(only.begin() + 2 * T, T, kIgnore);
    EXPECT_NEAR(some.sum + train.evaluate(ids, only, {source, second}).sum, together.sum, 1e-5);
    const double loss = train.micro_step(ids, targets,
                                         {
                                             .source = {source, lengths}
    }),
                 norm = train.gradient_norm(0);
    EXPECT_NEAR(loss, sum / 11, 1e-5);
    for (size_t i = 0; i < ids.size(); ++i) {
        const auto b = i / T, t = i % T;
        if (static_cast<int32_t>(t) >= counts[b]) ids[i] = 1;
        if (static_cast<int32_t>(t) >= lengths[b]) source[i] = 1;
    }
    EXPECT_EQ(train.micro_step(ids, targets,
                               {
                                   .source = {source, lengths}
    }),
              loss);
    EXPECT_EQ(train.gradient_norm(0), norm);
}

TEST(PackedPairs, WhatDoesNotFit) {
    ModelConfig c;
    c.arch = "transformer";
    kTransformer.defaults(c);
    c.layers = 1, c.heads = 2, c.embd = 16, c.context = 4, c.vocab = 11;
    kTransformer.complete(c);
    CpuBackend backend(kernel_table("auto"), 1);
    TrainShape shape;
    shape.batch = 1, shape.time = 4;
    TrainStep train(backend, c, shape);
    train.initialise(3);
    const std::vector<int32_t> ids(4), outside(4, 11), none{0}, long_one{5}, two{1, 1};
    const auto error = [&](std::span<const int32_t> source, std::span<const int32_t> lengths) {
        return test::error_of([&] { train.evaluate(ids, ids, {source, lengths}); });
    };
    EXPECT_MENTIONS(error(ids, none), "a source of 0 tokens is not one of 1 to 4");
    const std::vector<int32_t> nothing(4, kIgnore);
    EXPECT_MENTIONS(test::error_of([&] { train.evaluate(ids, nothing, {ids, none}); }), "a batch of pairs has none");
    EXPECT_MENTIONS(error(ids, long_one), "a source of 5 tokens is not one of 1 to 4");
    EXPECT_MENTIONS(error(ids, two), "2 sources of 4 tokens in all");
    EXPECT_MENTIONS(error(outside, std::vector<int32_t>{4}), "token 11 is not among the 11");
    EXPECT_EQ(error(ids, std::vector<int32_t>{1}), "") << "nothing is left of them";
}

std::string reversed(std::string text) {
    std::reverse(text.begin(), text.end());
    return text;
}

// Words of 1 to 6 letters that it has not seen.
TEST_F(PairsTest, LearnsToReverse) {
    const auto word = [](uint32_t i) {
        const auto random = philox({i, 0, 0, 0}, 7);
        std::string text;
        for (uint32_t n = 0; n <= random[0] % 6; ++n) text += static_cast<char>('a' + (random[1] >> (4 * n)) % 8);
        return text;
    };
    std::string text;
    std::set<std::string> seen;
    for (uint32_t i = 0; i < 3000; ++i) {
        seen.insert(word(i));
        text += word(i) + "\t" + reversed(word(i)) + "\n";
    }
    put("reverse.tsv", text);
    TrainRequest r = request("reverse");
    r.inputs = {(folder_ / "reverse.tsv").string()};
    r.options.arch = "transformer";
    r.options.layers = 1, r.options.heads = 4, r.options.embd = 32, r.options.batch = 32;
    r.options.iters = 1500, r.options.eval_every = 500, r.options.lr = 4e-3;
    r.given = {"lr"};
    run(r);

    CpuBackend backend(kernel_table("auto"), 2);
    const LoadedModel model((folder_ / "reverse.gguf").string(), backend);
    std::vector<std::string> words;
    std::vector<std::vector<int32_t>> sources;
    for (uint32_t i = 3000; words.size() < 300; ++i) {
        if (seen.contains(word(i))) continue;
        words.push_back(word(i));
        sources.push_back(model.tokenizer().encode(words.back() + "\n"));
    }
    Engine engine(backend, model.config(), model.weights(), {.slots = 20});
    const BeamOptions options{.start = static_cast<int32_t>(model.config().encoder_decoder.start),
                              .end = model.tokenizer().end_token()};
    int right = 0;
    translate(engine, sources, options, [&](size_t i, const std::vector<Hypothesis>& found) {
        right += model.tokenizer().decode(found.at(0).ids) == reversed(words[i]);
    });
    EXPECT_GE(right, 297) << "of 300";
}

}  // namespace
}  // namespace nib

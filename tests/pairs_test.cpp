// Training on pairs of lines: which tokens they become, and a Transformer that learns to reverse.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/philox.h"
#include "infer/beam.h"
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
    const Pairs pairs(corpus, tokenizer, {0, corpus.size()}, 5);
    ASSERT_EQ(pairs.count(), 3);
    EXPECT_EQ(row(pairs, tokenizer, 0), (Row{"abc\n\n", "\txy\n\n", "xy\n--", 4}));
    EXPECT_EQ(row(pairs, tokenizer, 1), (Row{"\n\n\n\n\n", "\tz\n\n\n", "z\n---", 1}));
    EXPECT_EQ(row(pairs, tokenizer, 2), (Row{"abcd\n", "\twxyz", "wxyz\n", 5}));
    EXPECT_EQ(pairs.targets(0), 3);
    EXPECT_EQ(Pairs(corpus, tokenizer, {0, 7}, 5).count(), 1) << "a line belongs to where it begins";
    EXPECT_EQ(Pairs(corpus, tokenizer, {3, corpus.size()}, 5).count(), 2);
}

TEST_F(PairsTest, LinesOfSeveralFilesAndOfWindows) {
    put("a.tsv", "a\tb\r\nb\ta");
    put("b.tsv", "\r\nab\tb\r\n");
    const Corpus corpus({(folder_ / "a.tsv").string(), (folder_ / "b.tsv").string()});
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(corpus.characters());
    const Pairs pairs(corpus, tokenizer, {0, corpus.size()}, 5);
    ASSERT_EQ(pairs.count(), 3);
    EXPECT_EQ(row(pairs, tokenizer, 0), (Row{"a\n\n\n\n", "\tb\n\n\n", "b\n---", 2}));
    EXPECT_EQ(row(pairs, tokenizer, 1), (Row{"b\n\n\n\n", "\ta\n\n\n", "a\n---", 2}));
    EXPECT_EQ(row(pairs, tokenizer, 2), (Row{"ab\n\n\n", "\tb\n\n\n", "b\n---", 3}));
    EXPECT_MENTIONS(test::error_of([&] { Pairs(corpus, tokenizer, {0, corpus.size()}, 2); }), "b.tsv: line 2 has a source");
}

TEST_F(PairsTest, WhatIsNone) {
    std::string more;
    for (int i = 0; i < 20; ++i) more += "c\td\n";
    EXPECT_MENTIONS(error_of_pairs("abc def\nghi"), "no lines of a source, a tab and a target");
    EXPECT_MENTIONS(error_of_pairs("a\tb\nab\n" + more), "line 2 is not a source, a tab and a target: it has 0 tabs");
    EXPECT_MENTIONS(error_of_pairs("a\tb\tc\n" + more), "line 1 is not a source, a tab and a target: it has 2 tabs");
    EXPECT_MENTIONS(error_of_pairs("12345678\tb\n" + more),
                    "pairs.tsv: line 1 has a source of 8 characters, but a context of 8 has room for 7");
    EXPECT_MENTIONS(error_of_pairs("b\t12345678\n" + more), "line 1 has a target of 8 characters");
    EXPECT_MENTIONS(error_of_pairs("a\tb\n"), "the text is too short");
    EXPECT_FALSE(has("m.gguf"));
}

TEST_F(PairsTest, OptionsOfAnEncoder) {
    TrainRequest r = request("m");
    r.options.encoder_layers = 2;
    EXPECT_MENTIONS(error_of(r), "is 2, but gpt2 has no encoder");
    r.options.encoder_layers = 0, r.options.norm_first = true;
    EXPECT_MENTIONS(error_of(r), "cannot be chosen for gpt2");
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

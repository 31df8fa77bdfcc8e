// Embeddings of texts: the loss of a batch beside what the encoder says of each text, and trainings on pairs.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "infer/encoder.h"
#include "model/loaded_model.h"
#include "tiny_training.h"
#include "train/base_model.h"

namespace nib {
namespace {

using namespace test;

struct EmbedTaskTest : TinyTraining {
    EmbedTaskTest() {
        std::string lines;
        const char* animals[] = {"fox", "crow", "the", "and"};
        for (int i = 0; i < 60; ++i) {
            const std::string animal = animals[i % 4], number = std::to_string(i);
            lines +=
                "the " + animal + " " + number + "\t" + animal + " and " + animal + "\t" + std::to_string(i % 6) + "\n";
        }
        put("pairs.tsv", lines);
    }
    void make_base(const std::string& arch) {
        TrainRequest base = request(arch);
        base.options.arch = arch;
        base.options.context = 48;
        base.options.iters = 10;
        run(base);
    }
    TrainRequest embed(const std::string& from, const std::string& name) const {
        TrainRequest r = request(name);
        r.inputs = {(folder_ / "pairs.tsv").string()};
        r.options = {};
        r.from = (folder_ / (from + ".gguf")).string();
        r.options.task = "embed";
        r.options.label_column = "3";
        r.options.context = 48;
        r.options.iters = 40;
        r.options.batch = 8;
        r.options.lr = 5e-3;
        r.options.eval_every = 20;
        r.given = {"task", "label-column", "context", "iters", "batch", "lr", "eval-every"};
        return r;
    }
};

TEST_F(EmbedTaskTest, TheLossIsThatOfTheTextsEmbeddings) {
    make_base("bert");
    CpuBackend backend(kernel_table("auto"), 2);
    const LoadedModel model((folder_ / "bert.gguf").string(), backend);
    // Three rows, of which the second has a third text, and one without any.
    using Row = std::vector<std::vector<int32_t>>;
    const std::vector<int32_t> one = {1, 2, 3}, two = {4, 5}, three = {6}, four = {7, 8}, five = {1, 1, 2},
                               six = {3, 3, 1, 2};
    std::vector<Row> rows;
    rows.push_back({one, two});
    rows.push_back({three, four, five});
    rows.emplace_back();
    rows.push_back({six, three});
    constexpr size_t kTime = 8;
    std::vector<int32_t> ids, positions, lengths, targets(rows.size() * kTime, kIgnore);
    std::vector<TextTokens> firsts, others;
    std::vector<size_t> own;  // of each first text, the second one's number among the others
    for (const Row& row : rows) {
        const size_t begin = ids.size();
        for (size_t i = 0; i < row.size(); ++i) {
            ids.insert(ids.end(), row[i].begin(), row[i].end());
            for (size_t t = 0; t < row[i].size(); ++t) positions.push_back(static_cast<int32_t>(t));
            if (i == 1) own.push_back(others.size());
            (i == 0 ? firsts : others).push_back({row[i], {}});
        }
        lengths.push_back(static_cast<int32_t>(ids.size() - begin));
        if (!row.empty()) targets[begin] = 0;
        ids.resize(begin + kTime), positions.resize(begin + kTime);
    }
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const std::vector<float> a = encoder.embed(firsts, Pooling::Mean, true), b = encoder.embed(others, Pooling::Mean, true);
    const auto C = static_cast<size_t>(model.config().embd);
    double expected = 0;
    std::vector<float> cosines;
    for (size_t i = 0; i < firsts.size(); ++i) {
        std::vector<double> scores;
        for (size_t j = 0; j < others.size(); ++j)
            scores.push_back(static_cast<double>(std::inner_product(&a[i * C], &a[i * C] + C, &b[j * C], 0.0f)) / 0.05);
        cosines.push_back(static_cast<float>(scores[own[i]] * 0.05));
        double sum = 0;
        for (const double score : scores) sum += std::exp(score - scores[own[i]]);
        expected += std::log(sum);
    }

    TrainShape shape{4, kTime, 0, Optimizer::AdamW};
    shape.ragged = true;
    shape.objectives = {
        {.head = "", .loss = Loss::Contrast, .of_rows = true, .temperature = 0.05f}
    };
    TrainStep train(backend, model.config(), shape);
    load_weights(model.file(), 1, train);
    const RaggedRows ragged{positions, lengths, {}};
    const LossSum found = train.evaluate(ids, targets, {}, ragged);
    EXPECT_EQ(found.rows, 3);
    EXPECT_NEAR(found.sum, expected, 1e-4);
    ASSERT_EQ(found.numbers.size(), 3U);
    for (size_t i = 0; i < cosines.size(); ++i) EXPECT_NEAR(found.numbers[i], cosines[i], 1e-5);
    EXPECT_NEAR(train.micro_step(ids, targets, {.ragged = ragged}), expected / 3, 1e-4);

    const std::vector<int32_t> alone = {3, 0, 0, 0};
    EXPECT_MENTIONS(test::error_of([&] {
                        train.evaluate(ids, targets, {}, {std::vector<int32_t>(32, 1), alone, {}});
                    }),
                    "nothing to be compared with");
}

TEST_F(EmbedTaskTest, PairsComeNearer) {
    for (const char* arch : {"bert", "gpt2"}) {
        make_base(arch);
        TrainRequest r = embed(arch, "near");
        r.overwrite = true;
        const TrainResult result = run(r);
        EXPECT_EQ(result.scores.front().name, "spearman") << arch;
        CpuBackend backend(kernel_table("auto"), 1);
        const LoadedModel model((folder_ / "near.gguf").string(), backend);
        EXPECT_EQ(model.config().pooling, Pooling::Mean) << arch;
        EXPECT_TRUE(model.config().normalize) << arch;
        r.options.label_column = "";
        put("pairs.tsv", get("pairs.tsv"));
        std::string lines = get("pairs.tsv"), apart;
        for (size_t at = 0; at < lines.size();) {  // without numbers
            const size_t end = lines.find('\n', at);
            apart += lines.substr(at, lines.rfind('\t', end) - at) + "\n";
            at = end + 1;
        }
        put("two.tsv", apart);
        r.inputs = {(folder_ / "two.tsv").string()};
        r.options.iters = 60;
        const TrainResult found = run(r);
        EXPECT_EQ(found.scores.front().name, "accuracy") << arch;
        EXPECT_LT(*found.val_loss, std::log(6.0)) << arch;  // of six that validate, better than any
    }
}

TEST_F(EmbedTaskTest, AnInterruptedRunGoesOnTheSame) {
    make_base("bert");
    TrainRequest whole = embed("bert", "whole"), half = embed("bert", "half");
    for (TrainRequest* r : {&whole, &half}) r->options.min_score = 2;
    half.options.iters = 20;
    half.options.decay_iters = 40;
    half.options.warmup = 4;
    half.given.insert({"decay-iters", "warmup"});
    run(whole);
    run(half);
    TrainRequest resumed = embed("bert", "half");
    resumed.from = "";
    resumed.options = {};
    resumed.given = {"iters"};
    resumed.options.iters = 40;
    resumed.resume = true;
    run(resumed, {}, 1);
    EXPECT_EQ(get("half.gguf"), get("whole.gguf"));
}

TEST_F(EmbedTaskTest, WhatCannotBe) {
    make_base("bert");
    TrainRequest r = embed("bert", "x");
    r.options.batch = 1;
    EXPECT_MENTIONS(error_of(r), "which takes 2 or more");
    r.options.accumulate = 2;  // the rows of one batch alone are compared
    EXPECT_MENTIONS(error_of(r), "which takes 2 or more");
    r.options.accumulate = 1;
    r.options.label_smoothing = 0.1;
    r.options.batch = 8;
    EXPECT_MENTIONS(error_of(r), "label-smoothing is for targets");
    r.options.label_smoothing = 0;
    r.options.batch = 8;
    r.options.temperature = 0;
    EXPECT_MENTIONS(error_of(r), "temperature is 0");
    r.options.temperature = 0.05;
    r.options.min_score = 100;
    EXPECT_MENTIONS(error_of(r), "no row that could be used");
    r.options.min_score = 0;
    put("pairs.tsv", "the fox\t1\n");
    r.options.label_column = "2";
    EXPECT_MENTIONS(error_of(r), "pairs.tsv: line 1: has 1 text; it takes two");
}

}  // namespace
}  // namespace nib

// Scores of classes, labels, numbers and tags against those of scikit-learn, SciPy and seqeval, and what does not fit.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "metric_goldens.h"
#include "task/metrics/confusion_matrix.h"
#include "task/metrics/correlation.h"
#include "task/metrics/multi_label.h"
#include "task/metrics/tag_spans.h"
#include "test_errors.h"

namespace nib::test {
namespace {

constexpr double kNear = 1e-12;

TEST(Metrics, Classes) {
    for (const auto& c : metric_cases("classes")) {
        ConfusionMatrix matrix(c["classes"].get<int64_t>());
        const auto truth = c["truth"].get<std::vector<int64_t>>(), guess = c["guess"].get<std::vector<int64_t>>();
        for (size_t i = 0; i < truth.size(); ++i) matrix.add(truth[i], guess[i]);
        EXPECT_NEAR(matrix.accuracy(), c["accuracy"].get<double>(), kNear);
        EXPECT_NEAR(matrix.macro_f1(), c["macro"].get<double>(), kNear);
        EXPECT_NEAR(matrix.micro_f1(), c["micro"].get<double>(), kNear);
        EXPECT_NEAR(matrix.matthews(), c["matthews"].get<double>(), kNear);
        if (matrix.classes() == 2) {
            EXPECT_NEAR(matrix.of(1).f1(), c["binary"].get<double>(), kNear);
        }
        EXPECT_EQ(matrix.total(), static_cast<int64_t>(truth.size()));
        for (int64_t label = 0; label < matrix.classes(); ++label) {
            const auto& each = c["each"][static_cast<size_t>(label)];
            EXPECT_NEAR(matrix.of(label).precision(), each[0].get<double>(), kNear);
            EXPECT_NEAR(matrix.of(label).recall(), each[1].get<double>(), kNear);
            EXPECT_NEAR(matrix.of(label).f1(), each[2].get<double>(), kNear);
            EXPECT_EQ(static_cast<double>(matrix.of(label).actual), each[3].get<double>());
            for (int64_t other = 0; other < matrix.classes(); ++other)
                EXPECT_EQ(matrix.count(label, other),
                          c["matrix"][static_cast<size_t>(label)][static_cast<size_t>(other)].get<int64_t>());
        }
    }
}

TEST(Metrics, NoExamples) {
    const ConfusionMatrix matrix(2);
    EXPECT_EQ(matrix.accuracy(), 0);
    EXPECT_EQ(matrix.macro_f1(), 0);
    EXPECT_EQ(matrix.matthews(), 0);
    EXPECT_EQ(TagScores().macro_f1(), 0);
    EXPECT_EQ(TagScores().accuracy(), 0);
    EXPECT_EQ(MultiLabelScores(1).exact_match(), 0);
}

TEST(Metrics, TableOfAConfusionMatrix) {
    ConfusionMatrix matrix(2);
    for (int i = 0; i < 12; ++i) matrix.add(0, 0);
    matrix.add(0, 1), matrix.add(1, 1);
    EXPECT_EQ(matrix.table(Texts{"ham", "垃圾邮件"}),
              "actual \\ predicted       ham  垃圾邮件\n"
              "ham                       12         1\n"
              "垃圾邮件                   0         1\n");
    const Texts long_names{std::string(40, 'x'), "a\nb"};
    EXPECT_EQ(matrix.table(long_names),
              "actual \\ predicted                           0   1\n"
              "0 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx  12   1\n"
              "1 a\\x0Ab                                     0   1\n");
}

TEST(Metrics, ClassesThatAreNone) {
    EXPECT_EQ(error_of([] { ConfusionMatrix(0); }), "there are no classes to tell apart");
    ConfusionMatrix matrix(2);
    EXPECT_EQ(error_of([&] { matrix.add(2, 0); }), "class 2 is not one of 0 to 1");
    EXPECT_EQ(error_of([&] { matrix.add(0, -1); }), "class -1 is not one of 0 to 1");
    EXPECT_EQ(error_of([&] { matrix.of(2); }), "class 2 is not one of 0 to 1");
    EXPECT_EQ(error_of([&] { matrix.table(Texts{"a"}); }), "1 names for 2 classes");
    EXPECT_EQ(matrix.total(), 0);
}

TEST(Metrics, SeveralLabels) {
    for (const auto& c : metric_cases("multi_label")) {
        MultiLabelScores scores(c["labels"].get<int64_t>());
        for (size_t i = 0; i < c["truth"].size(); ++i) {
            auto truth = c["truth"][i].get<std::vector<int32_t>>();
            std::reverse(truth.begin(), truth.end());
            scores.add(truth, c["guess"][i].get<std::vector<int32_t>>());
        }
        EXPECT_NEAR(scores.exact_match(), c["exact"].get<double>(), kNear);
        if (c["labels"] == 1) continue;  // which scikit-learn takes for something else
        EXPECT_NEAR(scores.macro_f1(), c["macro"].get<double>(), kNear);
        EXPECT_NEAR(scores.micro_f1(), c["micro"].get<double>(), kNear);
    }
    EXPECT_EQ(error_of([] { MultiLabelScores(0); }), "there are no labels to give");
    MultiLabelScores scores(3);
    const std::vector<int32_t> none, outside{0, 3}, below{-1}, twice{2, 0, 2};
    EXPECT_EQ(error_of([&] { scores.add(none, outside); }), "label 3 is not one of 0 to 2");
    EXPECT_EQ(error_of([&] { scores.add(below, none); }), "label -1 is not one of 0 to 2");
    EXPECT_EQ(error_of([&] { scores.add(none, twice); }), "an example has label 2 twice");
    EXPECT_EQ(scores.total(), 0);
}

TEST(Metrics, Numbers) {
    for (const auto& c : metric_cases("numbers")) {
        const auto truth = c["truth"].get<std::vector<double>>(), guess = c["guess"].get<std::vector<double>>();
        EXPECT_NEAR(pearson(truth, guess), c["pearson"].get<double>(), kNear);
        EXPECT_NEAR(spearman(truth, guess), c["spearman"].get<double>(), kNear);
        EXPECT_NEAR(mean_squared_error(truth, guess), c["mse"].get<double>(), kNear);
    }
    const std::vector<double> up{1, 2, 3}, same{0.1, 0.1, 0.1}, two{1, 2}, none;
    EXPECT_EQ(pearson(up, same), 0);
    EXPECT_EQ(spearman(same, up), 0);
    EXPECT_NEAR(spearman(up, up), 1, kNear);
    EXPECT_EQ(error_of([&] { pearson(up, two); }), "2 numbers were predicted where there are 3");
    EXPECT_EQ(error_of([&] { spearman(none, none); }), "there are no numbers to compare");
    const std::vector<double> nan{1, std::numeric_limits<double>::quiet_NaN(), 2}, huge{1e200, -1e200, 0};
    EXPECT_EQ(error_of([&] { spearman(up, nan); }), "what was predicted is not a finite number");
    EXPECT_EQ(error_of([&] { mean_squared_error(nan, up); }), "what was to be predicted is not a finite number");
    EXPECT_EQ(error_of([&] { pearson(up, huge); }), "the numbers are too large to be compared");
    EXPECT_EQ(error_of([&] { mean_squared_error(up, huge); }), "the numbers are too large to be compared");
    EXPECT_NEAR(spearman(up, huge), -0.5, kNear) << "ranks are small";
}

TEST(Metrics, Tags) {
    for (const auto& c : metric_cases("tags")) {
        TagScores scores;
        for (size_t i = 0; i < c["truth"].size(); ++i) scores.add(c["truth"][i].get<Texts>(), c["guess"][i].get<Texts>());
        EXPECT_NEAR(scores.overall().f1(), c["f1"].get<double>(), kNear);
        EXPECT_NEAR(scores.macro_f1(), c["macro"].get<double>(), kNear);
        EXPECT_NEAR(scores.accuracy(), c["accuracy"].get<double>(), kNear);
        EXPECT_EQ(scores.by_type().size(), c["types"].size());
        for (const auto& [type, each] : c["types"].items()) {
            const F1& score = scores.by_type().at(type);
            EXPECT_NEAR(score.precision(), each[0].get<double>(), kNear) << type;
            EXPECT_NEAR(score.recall(), each[1].get<double>(), kNear) << type;
            EXPECT_NEAR(score.f1(), each[2].get<double>(), kNear) << type;
            EXPECT_EQ(score.actual, each[3].get<int64_t>()) << type;
        }
    }
}

TEST(Metrics, SpansOfTags) {
    const auto spans = [](const Texts& tags) { return tag_spans(tags); };
    using Spans = std::vector<TagSpan>;
    EXPECT_EQ(spans({
                  "B-PER", "I-PER", "O", "B-LOC", "B-LOC"
    }),
              (Spans{{"PER", 0, 1}, {"LOC", 3, 3}, {"LOC", 4, 4}}));
    EXPECT_EQ(spans({
                  "I-PER", "I-PER", "I-LOC"
    }),
              (Spans{{"PER", 0, 1}, {"LOC", 2, 2}}));
    EXPECT_EQ(spans({
                  "S-X", "B-X", "I-X", "E-X", "E-X"
    }),
              (Spans{{"X", 0, 0}, {"X", 1, 3}, {"X", 4, 4}}));
    EXPECT_EQ(spans({
                  "B", "I", "O"
    }),
              (Spans{{"_", 0, 1}}));
    EXPECT_EQ(spans({
                  "B-人-名", "I-人-名"
    }),
              (Spans{{"人-名", 0, 1}}));
    EXPECT_EQ(spans({}), Spans{});
    EXPECT_EQ(error_of([&] { spans({"O", ""}); }), "a tag is empty");
    TagScores scores;
    EXPECT_EQ(error_of([&] { scores.add(Texts{"O", "O"}, Texts{"O"}); }), "1 tags were predicted for 2 tokens");
}

}  // namespace
}  // namespace nib::test

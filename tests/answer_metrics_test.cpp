// Scores of answers against the published scripts of SQuAD and CMRC 2018.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "metric_goldens.h"
#include "task/metrics/answers.h"
#include "task/metrics/treebank_words.h"
#include "test_errors.h"

namespace nib::test {
namespace {

TEST(AnswerMetrics, ScoresOfThePublishedScripts) {
    for (const auto& c : metric_cases("answers")["scores"]) {
        const AnswerRules rules = c[0] == "squad1"   ? AnswerRules::Squad1
                                  : c[0] == "squad2" ? AnswerRules::Squad2
                                                     : AnswerRules::Cmrc2018;
        const AnswerScore score = score_answer(rules, c[1].get<std::string>(), c[2].get<Texts>());
        EXPECT_EQ(score.exact, c[3].get<double>()) << c;
        EXPECT_NEAR(score.f1, c[4].get<double>(), 1e-12) << c;
    }
}

TEST(AnswerMetrics, Segments) {
    for (const auto& c : metric_cases("answers")["segments"])
        EXPECT_EQ(mixed_segments(c[0].get<std::string>()), c[1].get<Texts>()) << c[0];
}

TEST(AnswerMetrics, TreebankWords) {
    EXPECT_EQ(treebank_words("  it can't (really) cost $3.88, \"can it\"?  "),
              (Texts{"it", "ca", "n't", "(", "really", ")", "cost", "$", "3.88", ",", "``", "can", "it", "''", "?"}));
    EXPECT_EQ(treebank_words("they'll see dr. no."), (Texts{"they", "'ll", "see", "dr.", "no", "."}));
    EXPECT_EQ(treebank_words(""), Texts{});
}

TEST(AnswerMetrics, Means) {
    AnswerScores scores(AnswerRules::Squad2);
    EXPECT_EQ(scores.all().questions, 0);
    EXPECT_EQ(scores.all().f1, 0);
    scores.add("the cat sat", Texts{"cat", "A cat sat"});
    scores.add("cat", Texts{"black cat"});
    scores.add("", Texts{});
    EXPECT_EQ(scores.add("cat", Texts{}).exact, 0);
    EXPECT_EQ(scores.answerable().questions, 2);
    EXPECT_NEAR(scores.answerable().exact, 50, 1e-9);
    EXPECT_NEAR(scores.answerable().f1, 100 * (1 + 2 / 3.0) / 2, 1e-9);
    EXPECT_NEAR(scores.unanswerable().exact, 50, 1e-9);
    EXPECT_EQ(scores.all().questions, 4);
    EXPECT_NEAR(scores.all().f1, 100 * (1 + 2 / 3.0 + 1) / 4, 1e-9);
}

TEST(AnswerMetrics, TextThatIsNotUtf8) {
    for (const AnswerRules rules : {AnswerRules::Squad1, AnswerRules::Squad2, AnswerRules::Cmrc2018})
        EXPECT_EQ(error_of([&] { score_answer(rules, "a\xFF", Texts{"b"}); }), "an answer is not UTF-8 text");
}

// What a model says may be long and odd.
TEST(AnswerMetrics, LongTexts) {
    for (const char* const piece : {"'", "\"", ".", "(", "- ", "`", "a'", " . ", "的"}) {
        std::string text;
        for (int i = 0; i < 1000; ++i) text += piece;
        EXPECT_EQ(score_answer(AnswerRules::Cmrc2018, text, Texts{text}).exact, 1) << piece;
        EXPECT_EQ(score_answer(AnswerRules::Squad1, text, Texts{text}).exact, 1) << piece;
    }
}

}  // namespace
}  // namespace nib::test

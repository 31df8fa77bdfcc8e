// BLEU, chrF and ROUGE-L against sacreBLEU and rouge-score: golden cases, and published ones where ../shared/data lies
// beside the project.
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "metric_goldens.h"
#include "task/metrics/bleu.h"
#include "task/metrics/chrf.h"
#include "task/metrics/rouge.h"
#include "test_errors.h"

namespace nib::test {
namespace {

const fs::path kData = "../shared/data/bleu";

BleuSmoothing smoothing_of(const std::string& name) {
    static const std::map<std::string, BleuSmoothing> all = {
        {"none",  BleuSmoothing::None       },
        {"floor", BleuSmoothing::Floor      },
        {"add-k", BleuSmoothing::AddK       },
        {"exp",   BleuSmoothing::Exponential}
    };
    return all.at(name);
}

TEST(TranslationMetrics, Tokens) {
    const auto& cases = metric_cases("bleu");
    for (const auto& [name, expected] : cases["tokens"].items())
        for (size_t i = 0; i < expected.size(); ++i)
            EXPECT_EQ(bleu_tokens(bleu_tokenizer(name), cases["texts"][i].get<std::string>()), expected[i].get<Texts>())
                << name << ": " << cases["texts"][i];
    for (const char* const name : {"13a", "zh", "none", "char"})
        EXPECT_STREQ(bleu_tokenizer_name(bleu_tokenizer(name)), name);
    EXPECT_EQ(error_of([] { bleu_tokenizer("intl\n"); }),
              "there is no tokenizer of BLEU called \"intl\\x0A\"; there are 13a, zh, none, char");
}

TEST(TranslationMetrics, Sentences) {
    for (const auto& c : metric_cases("bleu")["sentences"]) {
        Bleu bleu({.tokenizer = bleu_tokenizer(c["tokenize"].get<std::string>()), .effective_order = true});
        Chrf chrf;
        const auto hypothesis = c["hypothesis"].get<std::string>();
        const auto references = c["references"].get<Texts>();
        bleu.add(hypothesis, references);
        chrf.add(hypothesis, references);
        EXPECT_NEAR(bleu.score().score, c["bleu"].get<double>(), 1e-9) << c;
        EXPECT_NEAR(chrf.score(), c["chrf"].get<double>(), 1e-9) << c;
        EXPECT_NEAR(rouge_l(hypothesis, references), c["rouge_l"].get<double>(), 1e-12) << c;
    }
}

TEST(TranslationMetrics, Corpora) {
    for (const auto& c : metric_cases("bleu")["corpora"]) {
        Bleu bleu({.tokenizer = bleu_tokenizer(c["tokenize"].get<std::string>()),
                   .smoothing = smoothing_of(c["smooth"].get<std::string>()),
                   .smooth_value = c["smooth_value"].get<double>()});
        Chrf chrf;
        for (size_t i = 0; i < c["hypotheses"].size(); ++i) {
            bleu.add(c["hypotheses"][i].get<std::string>(), c["references"][i].get<Texts>());
            chrf.add(c["hypotheses"][i].get<std::string>(), c["references"][i].get<Texts>());
        }
        EXPECT_NEAR(bleu.score().score, c["bleu"].get<double>(), 1e-9) << c;
        EXPECT_EQ(bleu.score().text(), c["line"].get<std::string>());
        EXPECT_EQ(bleu.signature(), c["signature"].get<std::string>());
        EXPECT_NEAR(chrf.score(), c["chrf"].get<double>(), 1e-9) << c;
        EXPECT_EQ(chrf.signature(), c["chrf_signature"].get<std::string>());
    }
}

TEST(TranslationMetrics, Nothing) {
    Bleu bleu;
    Chrf chrf;
    EXPECT_EQ(bleu.score().score, 0);
    EXPECT_EQ(chrf.score(), 0);
    bleu.add("", Texts{"a b"});
    chrf.add("", Texts{"a b"});
    EXPECT_EQ(bleu.score().text(), "0.0 0.0/0.0/0.0/0.0 (BP = 0.000 ratio = 0.000 hyp_len = 0 ref_len = 2)");
    EXPECT_EQ(chrf.score(), 0);
    EXPECT_EQ(rouge_l("", Texts{""}), 0);
    EXPECT_MENTIONS(error_of([&] { bleu.add("a", {}); }), "has no reference");
    EXPECT_MENTIONS(error_of([&] { chrf.add("a", {}); }), "has no reference");
    EXPECT_MENTIONS(error_of([&] { rouge_l("a", {}); }), "has no reference");
    EXPECT_EQ(error_of([] { Bleu({.words = 9}); }), "BLEU counts runs of 1 to 8 words, not of 9");
}

TEST(TranslationMetrics, BytesThatAreNotUtf8) {
    for (const char* const name : {"13a", "zh", "none", "char"}) {
        Bleu bleu({.tokenizer = bleu_tokenizer(name), .effective_order = true});
        bleu.add("a \xE4\xBD b\xFF", Texts{"a \xE4\xBD b\xFF"});
        EXPECT_NEAR(bleu.score().score, 100, 1e-9) << name;
    }
    Chrf chrf;
    chrf.add("a\xFF", Texts{"a\xFF"});
    EXPECT_NEAR(chrf.score(), 100, 1e-9);
}

// ---- published scores
// ----------------------------------------------------------------------------------------------------

class PublishedBleu : public testing::Test {
protected:
    void SetUp() override {
        if (!fs::exists(kData)) GTEST_SKIP() << kData << " is not there";
        cases_ = nlohmann::json::parse(read_file(kData / "bleu_cases.json"));
    }
    // Checks the cases of a list, of which `others` are made in ways that nib has no need of.
    void check(const char* list, int others) {
        for (const auto& c : cases_[list]) {
            if (c.value("tokenize", "") == "intl" || c.value("lowercase", false)) {
                --others;
                continue;
            }
            Bleu bleu({.tokenizer = bleu_tokenizer(c.value("tokenize", "13a")),
                       .smoothing = smoothing_of(c.value("smooth", "exp")),
                       .smooth_value = c.value("smooth_value", -1.0),
                       .effective_order = c.value("effective_order", false),
                       .words = c.value("max_order", 4)});
            for (size_t i = 0; i < c["hypotheses"].size(); ++i)
                bleu.add(c["hypotheses"][i].get<std::string>(), c["references"][i].get<Texts>());
            EXPECT_NEAR(bleu.score().score, c["bleu"].get<double>(), c["tolerance"].get<double>()) << c;
        }
        EXPECT_EQ(others, 0);
    }
    nlohmann::json cases_;
};

TEST_F(PublishedBleu, Corpora) { check("corpus", 1); }

TEST_F(PublishedBleu, Sentences) { check("sentence", 2); }

Texts lines_of(const fs::path& path) {
    Texts lines;
    std::istringstream text(read_file(path));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
}

TEST_F(PublishedBleu, Wmt17) {
    const Texts reference = lines_of(kData / "wmt17-en-de/ref.txt"), golden = lines_of(kData / "wmt17-en-de/golden.tsv");
    for (size_t row = 1; row < golden.size(); ++row) {
        std::istringstream fields(golden[row]);
        std::string file;
        size_t lines = 0;
        int64_t length = 0, reference_length = 0;
        double none = 0, mteval = 0, penalty = 0, precisions[4] = {};
        fields >> file >> lines >> none >> mteval >> penalty;
        for (double& precision : precisions) fields >> precision;
        fields >> length >> reference_length;
        ASSERT_TRUE(fields) << golden[row];
        const Texts hypotheses = lines_of(kData / "wmt17-en-de" / file);
        ASSERT_EQ(hypotheses.size(), lines);
        Bleu plain({.tokenizer = BleuTokenizer::None}), bleu;
        for (size_t i = 0; i < lines; ++i) {
            plain.add(hypotheses[i], std::span(&reference[i], 1));
            bleu.add(hypotheses[i], std::span(&reference[i], 1));
        }
        EXPECT_NEAR(plain.score().score, none, 1e-6) << file;
        const BleuScore score = bleu.score();
        EXPECT_NEAR(score.score, mteval, 1e-6) << file;
        EXPECT_NEAR(score.brevity_penalty, penalty, 1e-6);
        for (size_t n = 0; n < 4; ++n) EXPECT_NEAR(score.precisions[n], precisions[n], 1e-4);
        EXPECT_EQ(score.length, length);
        EXPECT_EQ(score.reference_length, reference_length);
    }
}

}  // namespace
}  // namespace nib::test

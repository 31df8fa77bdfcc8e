// The readers of examples on real data, where it lies beside the project (see ../shared/data/README.md there).
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "reader_case.h"
#include "task/parallel_files.h"
#include "task/question_file.h"
#include "task/table_file.h"

namespace nib::test {
namespace {

const fs::path kData = "../shared/data";

class ExampleData : public ReaderTest {
protected:
    void SetUp() override {
        if (!fs::exists(kData / "classification")) GTEST_SKIP() << kData << " is not there";
    }

    struct Summary {
        std::map<std::string, int> labels;
        int empty_texts = 0, examples = 0;
        uint64_t bad = 0;
        size_t longest = 0;  // bytes
    };
    static Summary read(const fs::path& path, const TableOptions& options) {
        TableFile reader(path.string(), options);
        Summary summary;
        for (Example example; reader.next(example); ++summary.examples) {
            EXPECT_EQ(example.labels.size(), options.label.empty() ? 0u : 1u);
            for (const std::string& label : example.labels) ++summary.labels[label];
            for (const std::string& text : example.texts) {
                summary.empty_texts += text.empty();
                summary.longest = std::max(summary.longest, text.size());
            }
        }
        summary.bad = reader.bad().count();
        EXPECT_EQ(reader.bytes_read(), fs::file_size(path));
        return summary;
    }
    using Labels = std::map<std::string, int>;
};

TEST_F(ExampleData, Classification) {
    const fs::path all = kData / "classification";
    for (const auto& [name, count] : {
             std::pair("train", 6920), {"dev",  872 },
               {"test", 1821}
    }) {
        const Summary sst2 = read(all / "sst2" / (std::string(name) + ".tsv"), {{"1"}, "2", {}});
        EXPECT_EQ(sst2.examples, count);
        EXPECT_EQ(sst2.labels.size(), 2u);
    }
    EXPECT_EQ(read(all / "sms-spam/sms.tsv",
                   {
                       {"2"},
                       "1", {   }
    })
                  .labels,
              (Labels{{"ham", 4827}, {"spam", 747}}));
    const Summary news = read(all / "ag-news/test.csv", {
                                                            {"2",                                                                "3"},
                                                            "1", {                                                                  }
    });
    EXPECT_EQ(news.labels, (Labels{
                               {"1", 1900},
                               {"2", 1900},
                               {"3", 1900},
                               {"4", 1900}
    }));
    EXPECT_EQ(news.empty_texts, 0);
    for (const char* const label : {"label", "1"}) {
        const Summary hotels = read(all / "hotel-reviews-zh/reviews.csv", {{"-1"}, label, {}});
        EXPECT_EQ(hotels.labels, (Labels{
                                     {"0", 2444},
                                     {"1", 5322}
        }))
            << "the header is none of them";
        EXPECT_EQ(hotels.empty_texts, 1);
    }
    for (const auto& [name, count] : {
             std::pair("in_domain_train", 8551), {"in_domain_dev",     527},
               {"out_of_domain_dev", 516}
    })
        EXPECT_EQ(read(all / "cola" / (std::string(name) + ".tsv"), {{"4"}, "2", {}}).examples, count);
}

TEST_F(ExampleData, Pairs) {
    for (const auto& [name, count] : {
             std::pair("en-dev.csv", 1500), {"en-test.csv", 1379},
               {"zh-test.csv", 1379}
    }) {
        const Summary sts = read(kData / "pairs/stsb" / name, {{}, "3", {}});
        EXPECT_EQ(sts.examples, count);
        for (const auto& [label, times] : sts.labels) {
            EXPECT_GE(label_number(label), 0);
            EXPECT_LE(label_number(label), 5);
        }
    }
    for (const char* const name : {"rte1-dev", "rte1-test", "rte2-dev", "rte2-test", "rte3-dev", "rte3-test"}) {
        const Summary rte = read(kData / "pairs/rte" / (std::string(name) + ".tsv"), {
                                                                                         {"1",                                                                                             "2"},
                                                                                         "3", {                                                                                               }
        });
        EXPECT_EQ(rte.labels.size(), 2u) << name << ": the header is none";
        EXPECT_GE(rte.examples, 400);
    }
}

TEST_F(ExampleData, WrongLines) {
    const fs::path pairs = kData / "translation/tatoeba-en-zh/pairs.tsv";
    EXPECT_MENTIONS(error_of([&] { read(pairs, {}); }), "pairs.tsv: line 13: 1 field where the first line has 2");
    const Summary tatoeba = read(pairs, {{}, "", {}, true});
    EXPECT_EQ(tatoeba.examples, 15'489);
    EXPECT_EQ(tatoeba.bad, 1u);
    const fs::path trec = file("trec.tsv", read_file(kData / "classification/trec/train.txt"));
    EXPECT_MENTIONS(error_of([&] { read(trec, {}); }), "trec.tsv: line 66: not UTF-8 text");
    EXPECT_EQ(read(trec, {{}, "", {}, true}).examples, 5451);
}

TEST_F(ExampleData, Translations) {
    const auto lines = [](const char* first, const char* second) {
        const fs::path folder = kData / "translation/multi30k";
        ParallelFiles reader((folder / first).string(), (folder / second).string());
        int count = 0;
        for (Example example; reader.next(example); ++count)
            EXPECT_FALSE(example.texts[0].empty() || example.texts[1].empty());
        return count;
    };
    EXPECT_EQ(lines("train.en.gz", "train.de.gz"), 29'000);
    EXPECT_EQ(lines("val.en", "val.fr"), 1014);
    EXPECT_EQ(lines("test2016.en", "test2016.de"), 1000);
    EXPECT_MENTIONS(error_of([&] { lines("val.en", "test2016.de"); }), "val.en has 1014 lines, but ");
}

TEST_F(ExampleData, Questions) {
    for (const auto& [name, count, misplaced] : {
             std::tuple("xquad/en.json", 1190, 0), {"xquad/zh.json",       1190, 0},
                {"cmrc2018/trial.json", 1002, 5}
    }) {
        QuestionFile reader((kData / "qa" / name).string());
        int questions = 0, nowhere = 0;
        for (Question question; reader.next(question); ++questions) {
            EXPECT_FALSE(question.answers.empty());
            for (const Answer& answer : question.answers) {
                if (answer.begin == Answer::kNowhere)
                    ++nowhere;
                else
                    EXPECT_EQ(question.context->substr(answer.begin, answer.text.size()), answer.text);
            }
        }
        EXPECT_EQ(questions, count) << name;
        EXPECT_EQ(nowhere, misplaced) << name;
        EXPECT_EQ(reader.misplaced(), static_cast<uint64_t>(misplaced)) << name;
        EXPECT_EQ(reader.misplaced_ids().size(), misplaced > 0 ? 3u : 0u);
    }
}

}  // namespace
}  // namespace nib::test

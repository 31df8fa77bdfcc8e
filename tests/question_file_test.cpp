// Questions in SQuAD's JSON, and what is wrong with them.
#include "task/question_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reader_case.h"

namespace nib::test {
namespace {

class QuestionFiles : public ReaderTest {
protected:
    // A file of one article with these paragraphs.
    static std::string article(const std::string& paragraphs) {
        return R"({"title": "T", "paragraphs": [)" + paragraphs + "]}";
    }
    static std::string data(const std::string& articles) { return R"({"version": "v2.0", "data": [)" + articles + "]}"; }
    static std::string paragraph(const std::string& questions) {
        return R"({"context": "Größe: der Hund biss.", "qas": [)" + questions + "]}";
    }
    static std::string question(const std::string& more, const char* id = "q") {
        return std::string(R"({"id": ")") + id + R"(", "question": "Wer?", )" + more + "}";
    }
    std::vector<Question> read(std::string_view bytes, bool skip_bad = false, const char* name = "q.json") {
        QuestionFile reader(file(name, bytes), skip_bad);
        std::vector<Question> all;
        for (Question question; reader.next(question);) all.push_back(question);
        return all;
    }
    std::string error(std::string_view bytes) {
        return error_in([&] { read(bytes); });
    }
    std::string error_of_question(const std::string& question) { return error(data(article(paragraph(question)))); }
};

TEST_F(QuestionFiles, Both) {
    const std::string
        one =
            question(R"("answers": [{"text": "der Hund", "answer_start": 7}, {"text": "Hund", "answer_start": 11}])", "a"),
        two = question(R"("is_impossible": true, "answers": [], "plausible_answers": [{"text": "x"}])", "b"),
        three = R"({"question": "?", "answers": [{"text": "G", "answer_start": 0}]})",
        four = R"({"question": "?", "id": 7, "is_impossible": false, "answers": [{"text": ".", "answer_start": 20}]})";
    const std::string articles = article(paragraph(one + "," + two) + ", " + paragraph(three)) +
                                 ", {\"paragraphs\": []}, " + article(paragraph(four));
    for (const std::string& text :
         {data(articles),
          "\xEF\xBB\xBF \n{ \"x\" : {\"data\": [1, \"]\"]} , \"y\\\"\": [\"}\"],\n\"data\" :\n [" + articles +
              "] , \"version\": \"1.1\" }\n",
          gzip(R"({"data": [)" + articles + R"(], "z": 3})")}) {
        const std::vector<Question> all = read(text);
        ASSERT_EQ(all.size(), 4u);
        EXPECT_EQ(all[0].id, "a");
        EXPECT_EQ(all[0].title, "T");
        EXPECT_EQ(all[0].question, "Wer?");
        EXPECT_EQ(*all[0].context, "Größe: der Hund biss.");
        EXPECT_EQ(all[0].texts(), (std::vector<std::string>{"der Hund", "Hund"}));
        EXPECT_EQ(all[0].answers[0].begin, 9u) << "bytes";
        EXPECT_EQ(all[0].answers[1].begin, 13u);
        EXPECT_EQ(all[0].context, all[1].context) << "is shared";
        EXPECT_TRUE(all[1].answers.empty());
        EXPECT_EQ(without_folder(all[2].id), "q.json: record 1: paragraphs[1].qas[0]");
        EXPECT_EQ(all[2].where, all[2].id);
        EXPECT_EQ(all[3].id, "7");
        EXPECT_EQ(all[3].answers[0].begin, 22u);
        EXPECT_EQ(without_folder(all[3].where), "q.json: record 3: paragraphs[0].qas[0]");
    }
    EXPECT_TRUE(read(R"({"data": []})").empty());
}

TEST_F(QuestionFiles, MisplacedAnswers) {
    std::string questions;
    for (const auto& [id, start] : {
             std::pair("a", "8"),
             {"b", "7"                   },
             {"c", "-1"                  },
             {"d", "21"                  },
             {"e", "99999999999999999999"},
             {"f", "18446744073709551615"}
    })
        questions += (questions.empty() ? "" : ",") +
                     question(R"("answers": [{"text": "der", "answer_start": )" + std::string(start) + "}]", id);
    const std::string text = data(article(paragraph(questions)));
    EXPECT_MENTIONS(error(text), "qas[4].answers[0].answer_start is 1e+20; nib expects a whole number");
    QuestionFile reader(file("q.json", text), true);
    std::vector<Question> all;
    for (Question question; reader.next(question);) all.push_back(question);
    ASSERT_EQ(all.size(), 5u);
    EXPECT_EQ(all[0].answers[0].begin, Answer::kNowhere);
    EXPECT_EQ(all[1].answers[0].begin, 9u);
    EXPECT_EQ(reader.misplaced(), 4u);
    EXPECT_EQ(reader.misplaced_ids(), (std::vector<std::string>{"a", "c", "d"}));
    EXPECT_EQ(reader.bad().count(), 1u);
}

TEST_F(QuestionFiles, WrongOnes) {
    const std::string at = "q.json: record 1: paragraphs[0].qas[0]";
    EXPECT_EQ(error_of_question(question(R"("x": 1)")), at + " has no \"answers\"");
    EXPECT_EQ(error_of_question(question(R"("answers": {"text": ["a"]})")),
              at + ".answers is object where nib expects a list");
    EXPECT_EQ(error_of_question(question(R"("answers": [{"text": " ", "answer_start": 0}])")),
              at + ".answers[0].text is empty");
    EXPECT_EQ(error_of_question(question(R"("answers": [{"text": "G"}])")), at + ".answers[0] has no \"answer_start\"");
    EXPECT_EQ(error_of_question(question(R"("answers": [{"text": "G", "answer_start": "0"}])")),
              at + ".answers[0].answer_start is string where nib expects a whole number");
    EXPECT_EQ(error_of_question(question(R"("is_impossible": true, "answers": [{"text": "G", "answer_start": 0}])")),
              at + ": it is marked as impossible to answer, and has answers");
    EXPECT_EQ(error_of_question(R"({"id": "q", "answers": []})"), at + " has no \"question\"");
    EXPECT_EQ(error_of_question(R"({"id": "q", "question": "", "answers": []})"), "") << "there are such";
    EXPECT_EQ(error_of_question(R"({"id": 1.5, "question": "a", "answers": []})"), at + ".id is 1.5; nib expects text");
    EXPECT_EQ(error(data(article("{\"qas\": []}"))), "q.json: record 1: paragraphs[0] has no \"context\"");
    EXPECT_EQ(error(data(article("{\"context\": \" \"}"))), "q.json: record 1: paragraphs[0].context is empty");
    EXPECT_EQ(error(data(article("1"))), "q.json: record 1: paragraphs[0] is 1; nib expects an object");
    EXPECT_EQ(error(data("{}")), "q.json: record 1 has no \"paragraphs\"");
    EXPECT_MENTIONS(error(data("{\"title\": \"a\" 1}")), "q.json: record 1: not valid JSON");
    EXPECT_MENTIONS(error(data(article(paragraph(question("\"answers\": [], \"x\": \"\xFF\""))))),
                    "q.json: record 1: not UTF-8 text");
}

TEST_F(QuestionFiles, WrongFiles) {
    EXPECT_EQ(error(""), "q.json: there is no { at byte offset 0");
    EXPECT_EQ(error("[{}]"), "q.json: there is no { at byte offset 0");
    EXPECT_EQ(error("{}"), "q.json: has no list \"data\"");
    EXPECT_EQ(error(R"({"version": "data", "x": {"data": []}})"), "q.json: has no list \"data\"");
    EXPECT_EQ(error(R"({"data": {"a": 1}})"), "q.json: there is no [ at byte offset 9");
    EXPECT_EQ(error(R"({"version" "1"})"), "q.json: there is no : at byte offset 11");
    EXPECT_EQ(error(R"({"version": "1)"), "q.json: the object is cut short");
    EXPECT_EQ(error(R"({"versi)"), "q.json: there is no \" at byte offset 7");
    EXPECT_EQ(error(R"({"data": [)"), "q.json: record 1: the list is cut short there");
    EXPECT_EQ(error(R"({"data": [{"paragraphs": []}, {"title": ")"), "q.json: record 2: the list is cut short there");
    EXPECT_EQ(error(R"({"data": []])"), "q.json: there is no } at byte offset 11");
    EXPECT_EQ(error(R"({"data": []} {)"), "q.json: there is more after the end of the list, at byte offset 13");
    EXPECT_EQ(error(R"({"data": [], "version")"), "q.json: there is no : at byte offset 22");
    EXPECT_MENTIONS(error(gzip(data("")).substr(0, 20)), "the gzip data is cut short");
}

TEST_F(QuestionFiles, WrongOnesCanBePassedOver) {
    const std::string good = question(R"("answers": [])"), bad = question(R"("answers": 1)");
    const std::string text = data(article(paragraph(good + "," + bad + "," + good) + ", {}, " + paragraph(good)) +
                                  ", [], " + article(paragraph(good)));
    EXPECT_EQ(read(text, true).size(), 4u);
    QuestionFile reader(file("q.json", text), true);
    for (Question question; reader.next(question);) {
    }
    EXPECT_EQ(reader.bad().count(), 3u);
    EXPECT_EQ(error_in([&] { read(text.substr(0, text.size() - 5), true); }),
              "q.json: record 3: the list is cut short there");
}

}  // namespace
}  // namespace nib::test

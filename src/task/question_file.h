// Questions about paragraphs with their answers, in the JSON of SQuAD 1.1 and 2.0 (so do XQuAD, CMRC 2018, DRCD and
// others):
//     {"data": [{"title": "...", "paragraphs": [{"context": "...", "qas": [
//         {"id": "...", "question": "...", "is_impossible": false, "answers": [{"text": "...", "answer_start": 3},
//         ...]}]}]}]}
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "io/json_value.h"
#include "io/record_reader.h"
#include "task/bad_records.h"

namespace nib {

struct Answer {
    static constexpr size_t kNowhere = SIZE_MAX;

    std::string text;
    size_t begin;  // bytes of the context before it; kNowhere: it does not stand where it is said to
};

struct Question {
    std::string id, title, question;             // UTF-8; all but the id may be empty, as a question of CMRC 2018 is
    std::shared_ptr<const std::string> context;  // the same one for all questions of a paragraph
    std::vector<Answer> answers;                 // none: the context has no answer
    std::string where;                           // "squad.json: record 2: paragraphs[0].qas[3]"
    std::vector<std::string> texts() const;      // of the answers
};

class QuestionFile {
public:
    /// Opens the file, which may be packed (.gz); articles are read one at a time. Error when it cannot be read, or has no
    /// list "data".
    explicit QuestionFile(const std::string& path, bool skip_bad = false);

    /// Takes the next question; false at the end. Error, saying where it is, for what is not of this form: a context that
    /// is missing or empty, no question, an answer without text, no list of answers, answers of one that is impossible;
    /// where records may be passed over, the question is, the paragraph, or the article, whichever is wrong.
    bool next(Question& question);

    /// Answers that do not stand in their context where "answer_start" (in characters) says, and the ids of the first few
    /// questions that have one.
    uint64_t misplaced() const { return misplaced_; }
    const std::vector<std::string>& misplaced_ids() const { return misplaced_ids_; }

    uint64_t bytes_read() const { return reader_.bytes_read(); }
    const BadRecords& bad() const { return bad_; }

private:
    void read_article(const std::string& record);
    void read_paragraph(const JsonValue& paragraph, const std::string& title);
    static Question read_question(const JsonValue& value, const std::string& title,
                                  std::shared_ptr<const std::string> context);

    RecordReader reader_;
    BadRecords bad_;
    std::deque<Question> ready_;  // of the last article
    uint64_t misplaced_ = 0;
    std::vector<std::string> misplaced_ids_;
};

}  // namespace nib

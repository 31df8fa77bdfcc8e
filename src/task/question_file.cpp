#include "task/question_file.h"

#include <utility>

#include "core/error.h"
#include "text/python_text.h"
#include "text/text_encoding.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr size_t kIds = 3;  // that are named

std::string text_of(const JsonValue& object, const char* key) {
    const JsonValue value = object.get(key);
    if (python_strip(value.text()).empty()) fail("%s is empty", value.where().c_str());
    return value.text();
}

// A number serves as an id as well; a question without one is known by its place.
std::string id_of(const JsonValue& question) {
    const auto id = question.find("id");
    if (!id) return question.where();
    return id->raw().is_number_integer() ? id->raw().dump() : id->text();
}

// The byte at which an answer begins, if it stands there.
size_t place_of(const JsonValue& start, const std::string& text, const std::string& context) {
    if (!start.raw().is_number_integer()) start.wrong("a whole number");
    const auto characters = start.raw().get<int64_t>();
    if (characters < 0) return Answer::kNowhere;
    const size_t begin = skip_characters(context, 0, static_cast<size_t>(characters));
    return context.compare(begin, text.size(), text) == 0 ? begin : Answer::kNowhere;
}

}  // namespace

std::vector<std::string> Question::texts() const {
    std::vector<std::string> all;
    for (const Answer& answer : answers) all.push_back(answer.text);
    return all;
}

QuestionFile::QuestionFile(const std::string& path, bool skip_bad) : reader_(path, "data"), bad_(skip_bad) {}

bool QuestionFile::next(Question& question) {
    for (std::string record; ready_.empty();) {
        if (!reader_.next(record)) return false;
        try {
            read_article(record);
        } catch (const Error& error) {
            bad_.refuse(error);
        }
    }
    question = std::move(ready_.front());
    ready_.pop_front();
    for (const Answer& answer : question.answers) {
        if (answer.begin != Answer::kNowhere) continue;
        ++misplaced_;
        const bool named = !misplaced_ids_.empty() && misplaced_ids_.back() == question.id;
        if (misplaced_ids_.size() < kIds && !named) misplaced_ids_.push_back(question.id);
    }
    return true;
}

void QuestionFile::read_article(const std::string& record) {
    check_text(record, reader_.where(), reader_.offset());
    const nlohmann::json root = parse_json(record, reader_.where());
    const JsonValue article(root, reader_.where() + ":");
    const std::string title = article.text_or("title", "");
    const JsonValue paragraphs = article.get("paragraphs");
    for (size_t i = 0; i < paragraphs.items(); ++i) {
        try {
            read_paragraph(paragraphs.at(i), title);
        } catch (const Error& error) {
            bad_.refuse(error);
        }
    }
}

void QuestionFile::read_paragraph(const JsonValue& paragraph, const std::string& title) {
    const auto context = std::make_shared<const std::string>(text_of(paragraph, "context"));
    const JsonValue questions = paragraph.get("qas");
    for (size_t i = 0; i < questions.items(); ++i) {
        try {
            ready_.push_back(read_question(questions.at(i), title, context));
        } catch (const Error& error) {
            bad_.refuse(error);
        }
    }
}

Question QuestionFile::read_question(const JsonValue& value, const std::string& title,
                                     std::shared_ptr<const std::string> context) {
    Question question{id_of(value), title, value.get("question").text(), std::move(context), {}, value.where()};
    const JsonValue answers = value.get("answers");
    const auto impossible = value.find("is_impossible");
    if (impossible && impossible->truth() && answers.items() > 0)
        fail("%s: it is marked as impossible to answer, and has answers", value.where().c_str());
    for (size_t i = 0; i < answers.items(); ++i) {
        const JsonValue answer = answers.at(i);
        const std::string text = text_of(answer, "text");
        question.answers.push_back({text, place_of(answer.get("answer_start"), text, *question.context)});
    }
    return question;
}

}  // namespace nib

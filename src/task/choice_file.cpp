#include "task/choice_file.h"

#include <algorithm>
#include <charconv>

#include "io/json_value.h"
#include "io/record_reader.h"
#include "task/bad_records.h"
#include "text/text_encoding.h"
#include "text/text_files.h"

namespace nib {
namespace {

std::vector<std::string> texts_of(const JsonValue& list) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < list.items(); ++i) {
        texts.push_back(list.at(i).text());
        if (texts.back().empty()) fail("%s: is empty", list.at(i).where().c_str());
    }
    if (texts.size() < 2)
        fail("%s: has %s; it takes two or more", list.where().c_str(), counted(std::ssize(texts), "choice").c_str());
    return texts;
}

constexpr size_t kNone = SIZE_MAX;

size_t position_of(const std::vector<std::string>& names, const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    return found != names.end() ? static_cast<size_t>(found - names.begin()) : kNone;
}

// A number from 0, as one or spelled; the name of a choice, its letter, or its text.
size_t answer_of(const JsonValue& value, const std::vector<std::string>& names, const std::vector<std::string>& choices) {
    size_t found = kNone;
    if (value.raw().is_number()) {
        found = static_cast<size_t>(value.whole_number("the number of a choice", INT32_MAX));
    } else {
        const std::string& text = value.text();
        found = position_of(names, text);
        if (found == kNone) found = position_of(choices, text);
        if (found == kNone && text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z')
            found = static_cast<size_t>(text[0] - 'A');
        size_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (found == kNone && error == std::errc() && end == text.data() + text.size()) found = number;
    }
    if (found >= choices.size()) fail("%s: is none of the %zu choices", value.where().c_str(), choices.size());
    return found;
}

ChoiceQuestion read_record(const std::string& record, const std::string& where, ChoiceLayout& layout) {
    const nlohmann::json root = parse_json(record, where);
    const JsonValue object(root, where + ":");
    ChoiceQuestion question;
    question.where = where;
    std::vector<std::string> names;
    if (object.find("endings")) {
        layout = ChoiceLayout::Endings;
        question.text = object.get("ctx").text();
        question.choices = texts_of(object.get("endings"));
        question.answer = answer_of(object.get("label"), names, question.choices);
    } else {
        layout = ChoiceLayout::Question;
        question.text = object.get("question").text();
        const JsonValue choices = object.get("choices");
        if (choices.raw().is_object()) {
            question.choices = texts_of(choices.get("text"));
            names = texts_of(choices.get("label"));
            if (names.size() != question.choices.size())
                fail("%s: has %zu labels for %zu texts", choices.where().c_str(), names.size(), question.choices.size());
        } else {
            question.choices = texts_of(choices);
        }
        question.answer = answer_of(object.get(object.find("answerKey") ? "answerKey" : "answer"), names, question.choices);
    }
    if (question.text.empty()) fail("%s: has no text", where.c_str());
    return question;
}

}  // namespace

std::vector<ChoiceQuestion> read_choices(const std::vector<std::string>& paths, const ChoiceFileOptions& options,
                                         ChoiceLayout& layout) {
    std::vector<ChoiceQuestion> all;
    for (const std::string& path : paths) {
        if (!has_ending_or_gz(path, ".json") && !has_ending_or_gz(path, ".jsonl"))
            fail("%s: questions with choices are read from .jsonl and .json", printable(path).c_str());
        RecordReader reader(path, RecordReader::Kind::JsonItems);
        BadRecords bad(options.skip_bad);
        for (std::string record; reader.next(record);) try {
                check_text(record, reader.where(), reader.offset());
                all.push_back(read_record(record, reader.where(), layout));
            } catch (const Error& error) {
                bad.refuse(error);
            }
        if (bad.count() > 0 && options.note)
            options.note(strprintf("%s passed over, such as %s",
                                   counted(static_cast<int64_t>(bad.count()), "question").c_str(),
                                   bad.reasons().front().c_str()));
    }
    if (all.empty()) fail("%s: has no questions", printable(paths.front()).c_str());
    return all;
}

}  // namespace nib

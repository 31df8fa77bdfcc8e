#include "task/dialogue_file.h"

#include <algorithm>
#include <utility>

#include "io/json_value.h"
#include "task/dialogue_record.h"
#include "text/text_encoding.h"
#include "text/text_files.h"

namespace nib {
namespace {

bool is_table(const std::string& path) { return has_ending_or_gz(path, ".tsv"); }

RecordReader::Kind kind_of(const std::string& path) {
    const bool list = has_ending_or_gz(path, ".json");
    return list ? RecordReader::Kind::JsonItems : RecordReader::Kind::Lines;
}

// What a template cannot know to be wrong.
void check_answers(std::span<const ChatMessage> messages) {
    bool answered = false;
    for (size_t i = 0; i < messages.size(); ++i) {
        const bool answer = messages[i].role == "assistant";
        if (answer && i > 0 && messages[i - 1].role == "assistant")
            fail("messages %zu and %zu are both the assistant's", i, i + 1);
        answered = answered || answer;
    }
    if (!answered) fail("the dialogue has no answer: no message is the assistant's");
}

}  // namespace

DialogueFile::DialogueFile(const std::string& path, const DialogueOptions& options)
    : reader_(path, kind_of(path)), options_(options), table_(is_table(path)), bad_(options.skip_bad) {}

bool DialogueFile::next(std::vector<ChatMessage>& messages) {
    std::string record;
    while (reader_.next(record)) {
        try {
            messages = read(record);
            ++taken_;
            return true;
        } catch (const Error& error) {
            bad_.refuse(error);
        }
    }
    return false;
}

void DialogueFile::refuse(const Error& reason) {
    bad_.refuse(reason.within(where()));
    --taken_;
}

std::vector<ChatMessage> DialogueFile::read(const std::string& record) {
    check_text(record, where(), reader_.offset());
    std::vector<ChatMessage> messages;
    if (table_) {
        const auto tabs = std::count(record.begin(), record.end(), '\t');
        if (tabs != 1)
            fail("%s is not what is said, a tab and the answer: it has %s", where().c_str(), counted(tabs, "tab").c_str());
        const size_t tab = record.find('\t');
        messages = {
            {"user", record.substr(0, tab)},
            {"assistant",      record.substr(tab + 1)          }
        };
    } else {
        const nlohmann::json root = parse_json(record, where());
        const JsonValue value(root, where() + ":");
        const std::string shape = dialogue_shape(value);
        if (shape_.empty()) shape_ = shape;
        if (shape != shape_)
            fail("%s is of another shape than the records before it: it has \"%s\", not \"%s\"", where().c_str(),
                 shape.c_str(), shape_.c_str());
        messages = read_dialogue(value, shape, options_.alpaca);
    }
    try {
        check_messages(messages);
        check_answers(messages);
    } catch (const Error& error) {
        throw error.within(where());
    }
    return messages;
}

}  // namespace nib

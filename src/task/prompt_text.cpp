#include "task/prompt_text.h"

#include <set>
#include <utility>

#include "core/error.h"
#include "core/hash.h"
#include "io/json_value.h"
#include "io/record_reader.h"
#include "model/config.h"
#include "task/answered.h"
#include "task/dialogue_record.h"
#include "text/text_encoding.h"
#include "text/text_files.h"

namespace nib {
namespace {

constexpr std::string_view kPromptEndings[] = {".jsonl", ".json", ".txt", ".jsonl.gz", ".json.gz", ".txt.gz"};

// A prompt as messages, to which an answer that is still empty is added.
Answered read_json(const JsonValue& record, std::string& reference) {
    Answered prompt{{}, true};
    if (const std::string system = record.text_or("system", ""); !system.empty()) {
        prompt.messages.push_back({"system", system});
        prompt.text = false;
    }
    const auto messages = record.find("messages");
    const JsonValue text = messages ? *messages : record.get("prompt");
    prompt.text = prompt.text && text.raw().is_string();
    read_turns(text, "user", prompt.messages);
    for (const char* const key : {"answer", "reference", "solution"})
        if (const auto found = record.find(key)) reference = found->text();
    if (prompt.messages.empty() || prompt.messages.back().content.empty()) fail("the prompt is empty");
    if (prompt.messages.back().role != "user") fail("the prompt does not end with a message of the user");
    return prompt;
}

Answered read_line(const std::string& line) {
    Answered prompt{{}, true};
    prompt.messages.push_back({"user", line});
    return prompt;
}

// The tokens of a record, which is a line of text unless it is JSON; `words` is what people read of it. Every error says
// where.
std::vector<int32_t> read_prompt(const std::string& record, bool is_json, const RecordReader& reader,
                                 const Tokenizer& tokenizer, const ChatTemplate* chat_template, PromptWords& words) {
    check_text(record, reader.where(), reader.offset());
    nlohmann::json root;
    if (is_json) root = parse_json(record, reader.where());
    try {
        Answered prompt = is_json ? read_json(JsonValue(root, ""), words.reference) : read_line(record);
        words.prompt = prompt.messages.back().content;
        prompt.messages.push_back({"assistant", ""});
        std::vector<int32_t> ids = encode_prompt(tokenizer, chat_template, prompt);
        if (ids.empty()) fail("the prompt has no tokens");
        return ids;
    } catch (const Error& error) {
        throw error.within(reader.where());
    }
}

}  // namespace

PromptText::PromptText(std::vector<LabelledExample> examples, std::vector<PromptWords> words)
    : LabelledText(examples, default_labels(1)), words_(std::move(words)) {
    if (std::ssize(words_) != documents()) fail("there are not as many prompts as texts of them");
}

uint64_t PromptText::beside_tokens() const {
    Hash64 hash;
    const uint64_t before = LabelledText::beside_tokens();
    hash.add(std::as_bytes(std::span(&before, 1)));
    for (const PromptWords& words : words_)
        for (const char c : words.reference + '\n') {
            const auto word = static_cast<uint32_t>(static_cast<unsigned char>(c));
            hash.add(std::as_bytes(std::span(&word, 1)));
        }
    return hash.value();
}

void read_prompts(const std::vector<std::string>& paths, const Tokenizer& tokenizer, const LabelledFileOptions& options,
                  std::vector<LabelledExample>& examples, std::vector<PromptWords>& words) {
    int64_t too_long = 0, again = 0;
    std::set<std::vector<int32_t>> seen;
    for (const std::string& path : paths)
        for (const std::string& name : files_at(path, kPromptEndings)) {
            const bool lines = has_ending_or_gz(name, ".txt");
            RecordReader reader(name, lines ? RecordReader::Kind::Lines : RecordReader::Kind::JsonItems);
            BadRecords bad(options.skip_bad);
            for (std::string record; reader.next(record);) try {
                    PromptWords beside;
                    LabelledExample example;
                    example.text.ids = read_prompt(record, !lines, reader, tokenizer, options.chat_template, beside);
                    if (std::ssize(example.text.ids) > options.context) {
                        ++too_long;
                        continue;
                    }
                    again += !seen.insert(example.text.ids).second;
                    example.text.types.resize(example.text.ids.size());
                    examples.push_back(std::move(example));
                    words.push_back(std::move(beside));
                } catch (const Error& error) {
                    if (error.remedy() == Remedy::ChooseTemplate) throw;
                    bad.refuse(error);
                }
            note_bad(bad, "record", options);
        }
    const std::string passed = strprintf("%s of more than %lld tokens", counted(too_long, "prompt").c_str(),
                                         static_cast<long long>(options.context));
    if (examples.empty() && too_long > 0) fail_with(Remedy::LengthenContext, "all are too long: %s", passed.c_str());
    if (examples.empty()) fail("%s: there is no prompt", printable(paths.front()).c_str());
    if (too_long > 0 && options.note) options.note("passed over: " + passed);
    if (again > 0 && options.note)
        options.note(strprintf("%s of the same text as others", counted(again, "prompt").c_str()));
}

}  // namespace nib

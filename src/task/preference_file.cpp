#include "task/preference_file.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "io/json_value.h"
#include "model/config.h"
#include "task/dialogue_record.h"
#include "text/text_encoding.h"
#include "text/text_files.h"

namespace nib {
namespace {

constexpr std::string_view kPreferenceEndings[] = {".jsonl", ".json", ".tsv", ".jsonl.gz", ".json.gz", ".tsv.gz"};

// What comes before both answers.
Answered read_prompt(const JsonValue& record) {
    Answered prompt;
    prompt.text = true;
    if (const std::string system = record.text_or("system", ""); !system.empty()) {
        prompt.messages.push_back({"system", system});
        prompt.text = false;
    }
    for (const char* const key : {"conversations", "messages", "prompt"})
        if (const auto found = record.find(key)) {
            prompt.text = prompt.text && found->raw().is_string();
            read_turns(*found, "user", prompt.messages);
        }
    if (const auto instruction = record.find("instruction")) {
        const std::string input = record.text_or("input", "");
        prompt.messages.push_back({"user", instruction->text() + (input.empty() ? "" : "\n" + input)});
    }
    for (ChatMessage& message : prompt.messages) message.learnt = false;
    return prompt;
}

Answered with_answer(Answered prompt, const JsonValue& answer) {
    prompt.text = prompt.text && answer.raw().is_string();
    read_turns(answer, "assistant", prompt.messages);
    return prompt;
}

// Error for what no answer may be.
void check(const Answered& side, const char* which) {
    if (side.messages.empty()) fail("\"%s\" is empty", which);
    if (side.messages.back().role != "assistant") fail("\"%s\" does not end with an answer of the assistant", which);
    if (side.messages.back().content.empty()) fail("\"%s\" is empty", which);
}

void check(PreferencePair& both) {
    check(both.chosen, "chosen"), check(both.rejected, "rejected");
    if (both.chosen == both.rejected) fail("\"chosen\" and \"rejected\" are equal");
    // What both begin with is no answer of either.
    std::vector<ChatMessage>&chosen = both.chosen.messages, &rejected = both.rejected.messages;
    for (size_t i = 0; i < std::min(chosen.size(), rejected.size()) && chosen[i].content == rejected[i].content; ++i)
        chosen[i].learnt = rejected[i].learnt = false;
}

PreferencePair read_json(const JsonValue& record) {
    const auto chosen = record.find("chosen"), rejected = record.find("rejected");
    if (!chosen && record.find("chosen_messages"))
        return {with_answer(read_prompt(record), record.get("chosen_messages")),
                with_answer(read_prompt(record), record.get("rejected_messages"))};
    if (!chosen || !rejected)
        fail("has no \"%s\", where a better and a worse answer are expected", chosen ? "rejected" : "chosen");
    return {with_answer(read_prompt(record), *chosen), with_answer(read_prompt(record), *rejected)};
}

// Two texts, or a prompt before them, between tabs.
PreferencePair read_table(const std::string& line) {
    std::vector<std::string> cells(1);
    for (const char c : line) c == '\t' ? cells.emplace_back().clear() : cells.back().push_back(c);
    if (cells.size() < 2 || cells.size() > 3)
        fail("has %s; a better text, a tab and a worse one are expected, and perhaps a prompt before them",
             counted(std::ssize(cells) - 1, "tab").c_str());
    Answered prompt{{}, true};
    if (cells.size() == 3) prompt.messages.push_back({"user", cells[0], false});
    PreferencePair both{prompt, prompt};
    both.chosen.messages.push_back({"assistant", cells[cells.size() - 2]});
    both.rejected.messages.push_back({"assistant", cells[cells.size() - 1]});
    return both;
}

// Adds one side to an example.
void add_part(LabelledExample& example, const AnsweredTokens& tokens) {
    if (std::find(tokens.counted.begin(), tokens.counted.end(), true) == tokens.counted.end())
        fail("an answer has no tokens that could be preferred");
    example.parts.push_back(static_cast<int32_t>(tokens.ids.size()));
    example.text.ids.insert(example.text.ids.end(), tokens.ids.begin(), tokens.ids.end());
    example.text.types.insert(example.text.types.end(), tokens.types.begin(), tokens.types.end());
    for (const bool counted : tokens.counted) example.tags.push_back(counted ? 0 : kIgnore);
}

}  // namespace

bool hold_preferences(const std::vector<std::string>& paths) {
    for (const std::string& path : paths)
        for (const std::string& name : files_at(path, kPreferenceEndings)) {
            if (has_ending_or_gz(name, ".tsv")) return false;
            RecordReader reader(name, RecordReader::Kind::JsonItems);
            std::string text;
            if (!reader.next(text)) continue;
            try {
                const nlohmann::json record = parse_json(text, name);
                return record.contains("chosen") || record.contains("chosen_messages");
            } catch (const Error&) {  // whoever reads the file will tell
                return false;
            }
        }
    return false;
}

PreferenceFile::PreferenceFile(const std::string& path, bool skip_bad)
    : reader_(path, has_ending_or_gz(path, ".tsv") ? RecordReader::Kind::Lines : RecordReader::Kind::JsonItems),
      table_(has_ending_or_gz(path, ".tsv")),
      bad_(skip_bad) {}

bool PreferenceFile::next(PreferencePair& pair) {
    std::string record;
    while (reader_.next(record)) {
        try {
            pair = read(record);
            return true;
        } catch (const Error& error) {
            bad_.refuse(error);
        }
    }
    return false;
}

PreferencePair PreferenceFile::read(const std::string& record) {
    check_text(record, reader_.where(), reader_.offset());
    nlohmann::json root;
    if (!table_) root = parse_json(record, reader_.where());
    try {
        PreferencePair both = table_ ? read_table(record) : read_json(JsonValue(root, ""));
        check(both);
        return both;
    } catch (const Error& error) {
        throw error.within(reader_.where());
    }
}

std::vector<LabelledExample> read_preferences(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                              const LabelledFileOptions& options, std::vector<std::string>& labels) {
    labels = default_labels(1);
    std::vector<LabelledExample> examples;
    int64_t too_long = 0;
    for (const std::string& path : paths)
        for (const std::string& name : files_at(path, kPreferenceEndings)) {
            PreferenceFile file(name, options.skip_bad);
            for (PreferencePair both; file.next(both);) try {
                    LabelledExample example;
                    for (const Answered* side : {&both.chosen, &both.rejected})
                        add_part(example, encode_answered(tokenizer, options.chat_template, *side,
                                                          static_cast<size_t>(options.context)));
                    examples.push_back(std::move(example));
                } catch (const Error& error) {
                    if (error.remedy() == Remedy::ChooseTemplate) throw;
                    if (error.remedy() == Remedy::LengthenContext)
                        ++too_long;
                    else
                        file.refuse(error);
                }
            note_bad(file.bad(), "record", options);
        }
    const std::string passed = strprintf("%s with more than %lld tokens on a side", counted(too_long, "pair").c_str(),
                                         static_cast<long long>(options.context));
    if (examples.empty() && too_long > 0) fail_with(Remedy::LengthenContext, "all are too long: %s", passed.c_str());
    if (examples.empty()) fail("%s: there is no preference to learn", printable(paths.front()).c_str());
    if (too_long > 0 && options.note) options.note("passed over: " + passed);
    return examples;
}

}  // namespace nib

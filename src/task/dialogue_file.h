// Files of dialogues to train on.
//
// .jsonl and .json (a list, or JSON Lines), each also packed (.gz), with records of one of these shapes:
//     {"messages": [{"role": "user", "content": "..."}, ...]}        content may be a list of {"type": "text", "text":
//     "..."};
//                                                                    "weight": 0: this answer is not learnt
//     {"conversations": [{"from": "human", "value": "..."}, ...]}    from: human, gpt, system; or role and content
//     {"prompt": "...", "completion": "..."}                         or "response"; either may be a list of messages
//     {"instruction": "...", "input": "...", "output": "..."}        "input" may be missing or empty
// each of them with or without a "system" prompt. .tsv: what is said, a tab and the answer.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "io/record_reader.h"
#include "task/bad_records.h"
#include "text/chat_template.h"

namespace nib {

/// How names of such files end.
inline constexpr std::string_view kDialogueEndings[] = {".jsonl", ".json", ".tsv", ".jsonl.gz", ".json.gz", ".tsv.gz"};

struct DialogueOptions {
    bool alpaca = false;    // instructions get the wording of the template "alpaca"
    bool skip_bad = false;  // pass over records that are wrong
};

class DialogueFile {
public:
    /// Opens the file. Error when it cannot be read.
    explicit DialogueFile(const std::string& path, const DialogueOptions& options = {});

    /// Takes the next dialogue, which has an answer; false at the end. Error, naming file and line (in a list, record), for
    /// what is not JSON, not UTF-8, of another shape than the first record, or no dialogue: without messages or an answer,
    /// with an empty message, two answers in a row, or what is not text; with `skip_bad` such records are counted.
    bool next(std::vector<ChatMessage>& messages);

    /// Error about the dialogue that was taken last, for a reason that others have; with `skip_bad` it is counted.
    void refuse(const Error& reason);

    /// Where it is: "chats.jsonl: line 12".
    std::string where() const { return reader_.where(); }
    /// How many dialogues were taken, how many records were passed over, and what was wrong with the first few.
    uint64_t taken() const { return taken_; }
    uint64_t skipped() const { return bad_.count(); }
    const std::vector<std::string>& reasons() const { return bad_.reasons(); }
    uint64_t bytes_read() const { return reader_.bytes_read(); }

private:
    std::vector<ChatMessage> read(const std::string& record);

    RecordReader reader_;
    DialogueOptions options_;
    bool table_;         // .tsv
    std::string shape_;  // of the first record, by its key
    uint64_t taken_ = 0;
    BadRecords bad_;
};

}  // namespace nib

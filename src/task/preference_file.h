// Files of answers of which one is better than the other.
//
// .jsonl and .json (a list, or JSON Lines), each also packed (.gz), with records of one of these shapes:
//     {"prompt": "...", "chosen": "...", "rejected": "..."}              each may be a list of messages
//     {"chosen": "...", "rejected": "..."}                               whole texts, or dialogues with one prompt
//     {"conversations": [...], "chosen": {"from": "gpt", "value": "..."}, "rejected": {...}}       also "messages"
//     {"instruction": "...", "input": "...", "chosen": "...", "rejected": "..."}
//     {"chosen_messages": [...], "rejected_messages": [...]}
// each of them with or without a "system" prompt; messages are as in task/dialogue_file.h. .tsv: the better text, a tab and
// the other one, or a prompt before both.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/record_reader.h"
#include "task/answered.h"
#include "task/bad_records.h"
#include "task/labelled_file.h"

namespace nib {

struct PreferencePair {
    Answered chosen, rejected;
};

/// Whether the first record of files is one of the JSON shapes that name what is chosen.
bool hold_preferences(const std::vector<std::string>& paths);

class PreferenceFile {
public:
    /// Opens the file. Error when it cannot be read.
    explicit PreferenceFile(const std::string& path, bool skip_bad = false);

    /// Takes the next one; false at the end. Error, naming file and line (in a list, record), for what is not of this form:
    /// also for an empty answer, two that are equal, and what does not end with the assistant's answer; where records may
    /// be passed over, they are counted.
    bool next(PreferencePair& pair);

    /// Error about the one that was taken last, for a reason that others have; or it is counted as well.
    void refuse(const Error& reason) { bad_.refuse(reason.within(reader_.where())); }
    const BadRecords& bad() const { return bad_; }

private:
    PreferencePair read(const std::string& record);

    RecordReader reader_;
    const bool table_;  // .tsv
    BadRecords bad_;
};

/// Both answers as two parts of an example (LabelledExample::parts), each of `context` tokens at most; the tokens that a
/// policy is to prefer or not have the tag 0, which is the one label that there is. Those that are longer are passed over.
/// Error as of PreferenceFile and encode_answered, naming file and line, and when there is none.
std::vector<LabelledExample> read_preferences(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                              const LabelledFileOptions& options, std::vector<std::string>& labels);

}  // namespace nib

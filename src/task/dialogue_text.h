// Dialogues, tokenized once and kept in a file beside what they are for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "text/chat_template.h"
#include "text/piece_workers.h"
#include "text/token_file.h"
#include "text/tokenizer.h"

namespace nib {

struct DialogueTextOptions {
    int64_t longest = 0;    // tokens of a dialogue; of longer ones the oldest turns are left out
    bool skip_bad = false;  // pass over records that are wrong
    WorkProgress progress{};
    /// Called with what is worth telling: how many records were passed over and, when the file is made, why.
    std::function<void(const std::string&)> note{};
};

/// Whether files and folders hold dialogues rather than texts, by the first record of each file. Error, naming one of
/// each, when some do and others do not; files without a record do not matter.
bool hold_dialogues(const std::vector<std::string>& paths);

/// The tokens of all dialogues at `paths`, files and folders, each dialogue a document; those that the model has to say are
/// marked. They are read from a file in `folder` whose name tells texts, tokenizer and template apart; it is made unless
/// it is there. Dialogues whose last turn alone is too long are passed over. Error as of DialogueFile and encode_chat,
/// naming file and line, and when there is no dialogue.
std::unique_ptr<TokenFile> dialogue_text(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                         const ChatTemplate& chat_template, const std::string& folder,
                                         const DialogueTextOptions& options);

}  // namespace nib

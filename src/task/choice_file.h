// Questions with answers to choose from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace nib {

struct ChoiceQuestion {
    std::string text, second;          // UTF-8; the second one only where two texts belong together
    std::vector<std::string> choices;  // 2 or more
    size_t answer = 0;                 // the number of the right one
    std::string where;                 // "arc.jsonl: line 3"
};

/// How the questions of a file are written; it decides the usual form of a prompt.
enum class ChoiceLayout { Question, Endings };

struct ChoiceFileOptions {
    bool skip_bad = false;                           // pass over records that are wrong
    std::function<void(const std::string&)> note{};  // of those
};

/// The questions of .jsonl and .json files (a list), each also packed (.gz), in the layouts of data sets:
///     {"question": "...", "choices": ["...", ...], "answer": 1 or "B" or the answer's text}                     MMLU
///     {"question": "...", "choices": {"text": ["...", ...], "label": ["A", ...]}, "answerKey": "B"}              ARC
///     {"ctx": "...", "endings": ["...", ...], "label": 3 or "3"}                                                 HellaSwag
/// Numbers count from 0. `layout` becomes that of the last one. Error, by file and line, for a record that is of no such
/// form, has fewer than two choices, or whose answer is none of them.
std::vector<ChoiceQuestion> read_choices(const std::vector<std::string>& paths, const ChoiceFileOptions& options,
                                         ChoiceLayout& layout);

}  // namespace nib

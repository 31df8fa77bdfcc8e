// nib eval of models that answer questions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/backend.h"
#include "model/loaded_model.h"

namespace nib {

struct EvalQuestionsOptions {
    std::string rules;        // squad1, squad2 or cmrc; empty: as QuestionText::usual_rules()
    std::string predictions;  // a file to write: {"ID": "ANSWER"}; empty: none
    int64_t longest = 0;      // tokens of an answer; 0: AnswerSearch::kLongest
    int64_t stride = 0;       // WindowOptions
    bool skip_bad = false, json = false;
};

/// Prints exact match and F1 of a model's answers to the questions of files: of one with a head for answers, or a decoder.
void eval_questions(const std::vector<std::string>& paths, const EvalQuestionsOptions& options, Backend& backend,
                    const LoadedModel& model);

}  // namespace nib

// Answers to questions: pieces of contexts found by an encoder's head `span`, or texts that a decoder writes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "infer/encoder.h"
#include "infer/engine.h"
#include "task/answer_search.h"
#include "text/tokenizer.h"

namespace nib {

/// Adds what a model with a head `span` says of all windows of the text; `progress`, if given, is told after some of them
/// how many are done. Error when the model has no such head.
void search_answers(SequenceEncoder& encoder, const QuestionText& text, AnswerSearch& search,
                    const std::function<void(int64_t windows)>& progress = {});

/// What a decoder writes, by its most probable tokens, from
///     CONTEXT
///
///     Q: QUESTION
///
///     A:
/// to the end of the line (Brown et al. 2020, appendix G, without its title). A context that does not fit is cut at its
/// end. Error for a question that leaves no room for it.
std::string write_answer(Engine& engine, const Tokenizer& tokenizer, std::string_view context, std::string_view question);

}  // namespace nib

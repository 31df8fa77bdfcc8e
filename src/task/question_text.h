// Questions about contexts as a model reads them: [CLS] question [SEP] piece of the context [SEP], in as many windows as
// the context takes (Devlin et al. 2018, section 4.2).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "task/metrics/answers.h"
#include "task/question_file.h"
#include "text/token_text.h"
#include "text/tokenizer.h"

namespace nib {

/// Tokens of a window as is usual, if a model has as many.
inline constexpr int64_t kAnswerWindow = 384;

struct WindowOptions {
    int64_t tokens = 0;  // of a window at most, with the marks in it
    int64_t stride = 0;  // tokens of the context from one window to the next, at most as many as fit; 0: 128, or half of
                         // what fits where that is less
};

/// The tokens, first and last, that have bytes [begin, end) of their text; none: no token has any of them.
using TokenRange = std::pair<int64_t, int64_t>;
std::optional<TokenRange> tokens_at(const PlacedTokens& tokens, size_t begin, size_t end);

/// Windows one behind the other; a document is all windows of one context, so that contexts train or validate as a whole.
class QuestionText : public TokenText {
public:
    /// Neighbouring questions with the same context share its tokens. A question has half of the tokens at most, and loses
    /// its end if it is longer. Error, saying where, for what cannot be tokens, and when there is no question.
    QuestionText(std::span<const Question> questions, const Tokenizer& tokenizer, const WindowOptions& options);

    struct Asked {
        std::string id;
        std::vector<std::string> answers;  // none: the context has no answer
        int64_t context = 0;               // its number
        int64_t first_window = 0;
        std::vector<int32_t> ids;
    };
    struct Window {
        int64_t question = 0;
        int64_t first = 0, count = 0;  // tokens of the context
        int64_t row = 0;               // of the first of them, in the window
        /// Rows of the first and the last token of the answer; 0 where the window does not have it. -1: it is not known
        /// where the answer is.
        int64_t begin = 0, end = 0;
    };

    const std::vector<Asked>& questions() const { return questions_; }
    const std::vector<Window>& windows() const { return windows_; }
    const std::string& context_of(const Asked& question) const { return *contexts_[at(question.context)].text; }
    const PlacedTokens& tokens_of(const Asked& question) const { return contexts_[at(question.context)].tokens; }
    /// What the model reads.
    MarkedText read_window(int64_t i) const;
    /// The number of the window that a token is of, and of windows for the end of the text.
    int64_t window_of(int64_t token) const;

    /// Whether there are questions without an answer.
    bool may_be_none() const { return may_be_none_; }
    /// By which answers are measured: those of CMRC 2018 where most contexts are Chinese, else those of SQuAD 2.0 if
    /// questions may be without an answer.
    AnswerRules usual_rules() const;
    /// Answers that do not stand where they are said to, those among them that stand in their context once, where they are
    /// taken from, and the ids of the first few of these questions.
    struct Misplaced {
        int64_t count = 0, found = 0;
        std::vector<std::string> ids;
    };
    const Misplaced& misplaced() const { return misplaced_; }

    int64_t size() const override { return ends_.back(); }
    const char* unit() const override { return "token"; }
    void read(int64_t begin, std::span<int32_t> ids) const override;
    int64_t documents() const override { return static_cast<int64_t>(contexts_.size()); }
    Span document(int64_t i) const override;
    uint64_t beside_tokens() const override;

private:
    struct Context {
        std::shared_ptr<const std::string> text;
        PlacedTokens tokens;
        int64_t first_window = 0;
    };

    static size_t at(int64_t i) { return static_cast<size_t>(i); }
    void add(const Question& question, const WindowOptions& options);
    std::optional<TokenRange> answer_of(const Question& question, const PlacedTokens& tokens);
    int64_t window_begin(int64_t i) const { return i > 0 ? ends_[at(i - 1)] : 0; }

    const Tokenizer& tokenizer_;
    std::vector<Context> contexts_;
    std::vector<Asked> questions_;
    std::vector<Window> windows_;
    std::vector<int64_t> ends_;  // of each window, in tokens
    bool may_be_none_ = false;
    Misplaced misplaced_;
};

/// All questions of files. Error as of QuestionFile, where `skip_bad` passes over what is wrong and `note` is told so.
std::vector<Question> read_questions(const std::vector<std::string>& paths, bool skip_bad,
                                     const std::function<void(const std::string&)>& note);

/// What is to be said of answers that are not where they are said to be; empty: nothing.
std::string misplaced_note(const QuestionText& text);

}  // namespace nib

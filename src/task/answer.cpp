// Where in a context the answer to a question begins and ends (Devlin et al. 2018, sections 4.2 and 4.3).
#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "task/answer_search.h"
#include "task/examples.h"
#include "task/task.h"

namespace nib {
namespace {

// The windows that begin within a part of the text.
struct Part {
    const QuestionText& text;
    int64_t first, end;

    Part(const TokenText& tokens, Span span)
        : text([&]() -> const QuestionText& {
              const auto* questions = dynamic_cast<const QuestionText*>(&tokens);
              if (questions == nullptr) fail("the texts are no questions");
              return *questions;
          }()),
          first(text.window_of(span.begin)),
          end(text.window_of(span.end)) {}
    int64_t first_question() const { return question_of(first); }
    int64_t questions() const { return question_of(end) - question_of(first); }
    int64_t question_of(int64_t window) const {
        return window < std::ssize(text.windows()) ? text.windows()[static_cast<size_t>(window)].question
                                                   : std::ssize(text.questions());
    }
};

class AnswerJudge : public Judge {
public:
    AnswerJudge(const QuestionText& text, const std::vector<int64_t>& windows)
        : text_(text), windows_(windows), search_(text) {}

    void add(int64_t row, const Predicted& predicted) override {
        search_.add(windows_[static_cast<size_t>(row)], predicted.numbers);
    }
    std::vector<Score> scores() const override {
        AnswerScores scores(text_.usual_rules());
        for (const auto& [question, answers] : search_.answers())
            scores.add(search_.text_of(question, text_.may_be_none()),
                       text_.questions()[static_cast<size_t>(question)].answers);
        return {
            {"f1", scores.all().f1   },
            {"em", scores.all().exact},
        };
    }

private:
    const QuestionText& text_;
    const std::vector<int64_t>& windows_;  // by row of the validation
    AnswerSearch search_;
};

class AnswerTask : public Task {
public:
    explicit AnswerTask(const TaskTexts& texts)
        : texts_(texts), train_(texts.train, texts.train_span), validation_(texts.validation, texts.validation_span) {
        const auto& windows = train_.text.windows();
        for (int64_t i = train_.first; i < train_.end; ++i)
            if (windows[static_cast<size_t>(i)].begin >= 0) learned_.push_back(i);
        const EvalExamples validated(texts, "question", learned_.empty() ? 0 : train_.questions(), validation_.questions());
        for (int64_t i = 0; i < validated.count(); ++i) {
            const int64_t question = validation_.first_question() + validated.number(i);
            for (int64_t window = validation_.text.questions()[static_cast<size_t>(question)].first_window;
                 window < validation_.end && validation_.question_of(window) == question; ++window)
                validated_.push_back(window);
        }
    }

    TaskExtent extent() const override { return {"question", train_.questions(), validation_.questions()}; }
    bool ragged() const override { return true; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        const int64_t n = drawn(texts_, step, row, std::ssize(learned_));
        read(train_.text, learned_[static_cast<size_t>(n)], to);
    }
    TargetCounts counted(uint32_t, uint32_t) const override { return {1}; }
    int64_t validation_rows() const override { return std::ssize(validated_); }
    void fill_validation(int64_t row, TaskRow& to) const override {
        read(validation_.text, validated_[static_cast<size_t>(row)], to);
    }
    std::unique_ptr<Judge> judge() const override { return std::make_unique<AnswerJudge>(validation_.text, validated_); }

private:
    static void read(const QuestionText& text, int64_t i, TaskRow& to) {
        const MarkedText window = text.read_window(i);
        if (window.ids.size() > to.ids.size())
            fail("a window of %zu tokens does not fit into rows of %zu", window.ids.size(), to.ids.size());
        std::fill(std::copy(window.ids.begin(), window.ids.end(), to.ids.begin()), to.ids.end(), 0);
        if (!to.segments.empty()) std::copy(window.types.begin(), window.types.end(), to.segments.begin());
        std::fill(to.targets.begin(), to.targets.end(), kIgnore);
        const auto& [question, first, count, row, begin, end] = text.windows()[static_cast<size_t>(i)];
        if (begin >= 0) to.targets[static_cast<size_t>(begin)] = static_cast<int32_t>(end);
        to.length = static_cast<int32_t>(window.ids.size());
    }

    const TaskTexts texts_;
    const Part train_, validation_;
    std::vector<int64_t> learned_, validated_;  // windows
};

}  // namespace

std::unique_ptr<Task> make_answer_task(const TaskTexts& texts) { return std::make_unique<AnswerTask>(texts); }

int64_t learned_windows(const TokenText& text, Span span) {
    const Part part(text, span);
    const auto begin = part.text.windows().begin();
    return std::count_if(begin + part.first, begin + part.end, [](const auto& window) { return window.begin >= 0; });
}

}  // namespace nib

// What the assistant says in dialogues: supervised fine-tuning (Ouyang et al. 2022, section 3.5).
#include <algorithm>
#include <utility>

#include "core/error.h"
#include "task/examples.h"
#include "task/task.h"
#include "text/token_file.h"

namespace nib {
namespace {

const TokenFile& dialogues_of(const TokenText& text) {
    const auto* file = dynamic_cast<const TokenFile*>(&text);
    if (file == nullptr) fail("the texts are no dialogues");
    return *file;
}

// The dialogues that begin within a span of a text.
class Dialogues {
public:
    Dialogues(const TokenText& text, Span span) : text_(dialogues_of(text)) {
        const DocumentRange range = documents_within(text, span);
        first_ = range.first;
        std::vector<int32_t> ids;
        std::vector<uint8_t> marks;
        for (int64_t i = first_; i < first_ + range.count; ++i) {
            const auto size = static_cast<size_t>(text_.document(i).size());
            ids.resize(size), marks.resize(size);
            text_.read(text_.document(i).begin, ids, marks);
            targets_.push_back(static_cast<int32_t>(std::count(marks.begin() + 1, marks.end(), 1)));
        }
    }

    int64_t count() const { return static_cast<int64_t>(targets_.size()); }
    int64_t targets(int64_t i) const { return targets_[static_cast<size_t>(i)]; }

    // Of the dialogue "a b c D E" (answers in capitals): ids a b c D, targets - - D E.
    void read(int64_t i, TaskRow& row) const {
        const Span span = text_.document(first_ + i);
        const auto size = static_cast<size_t>(span.size());
        if (size > row.ids.size() + 1) fail("a dialogue of %zu tokens does not fit into rows of %zu", size, row.ids.size());
        std::vector<int32_t> ids(size);
        std::vector<uint8_t> marks(size);
        text_.read(span.begin, ids, marks);
        std::fill(row.ids.begin(), row.ids.end(), 0);
        std::fill(row.targets.begin(), row.targets.end(), kIgnore);
        std::copy(ids.begin(), ids.end() - 1, row.ids.begin());
        for (size_t t = 1; t < size; ++t)
            if (marks[t] != 0) row.targets[t - 1] = ids[t];
        row.length = static_cast<int32_t>(size - 1);
    }

private:
    const TokenFile& text_;
    int64_t first_ = 0;
    std::vector<int32_t> targets_;  // of each
};

class DialoguesTask : public Task {
public:
    explicit DialoguesTask(const TaskTexts& texts)
        : texts_(texts),
          train_(texts.train, texts.train_span),
          validation_(texts.validation, texts.validation_span),
          validated_(texts, "dialogue", train_.count(), validation_.count()) {}

    TaskExtent extent() const override { return {"dialogue", train_.count(), validation_.count()}; }
    bool ragged() const override { return true; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        train_.read(drawn(texts_, step, row, train_.count()), to);
    }
    TargetCounts counted(uint32_t step, uint32_t row) const override {
        return {train_.targets(drawn(texts_, step, row, train_.count()))};
    }

    int64_t validation_rows() const override { return validated_.count(); }
    void fill_validation(int64_t row, TaskRow& to) const override { validation_.read(validated_.number(row), to); }

private:
    const TaskTexts texts_;
    const Dialogues train_, validation_;
    const EvalExamples validated_;
};

}  // namespace

std::unique_ptr<Task> make_dialogues_task(const TaskTexts& texts) { return std::make_unique<DialoguesTask>(texts); }

}  // namespace nib

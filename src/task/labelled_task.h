// What tasks whose examples are labelled have in common: each example is a row, seen once in an epoch.
#pragma once

#include "task/examples.h"
#include "task/labelled_text.h"
#include "task/task.h"

namespace nib {

class LabelledTask : public Task {
public:
    /// `unit`: what an example is, for people.
    LabelledTask(const TaskTexts& texts, const char* unit);

    TaskExtent extent() const override { return {unit_, train_.count(), validation_.count()}; }
    bool ragged() const override { return true; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override { read(train_, number(step, row), to); }
    TargetCounts counted(uint32_t step, uint32_t row) const override { return targets(train_, number(step, row)); }
    int64_t validation_rows() const override { return validated_.count(); }
    void fill_validation(int64_t row, TaskRow& to) const override { read(validation_, validated_.number(row), to); }

protected:
    /// Fills in a row with example i.
    virtual void read(const LabelledPart& part, int64_t i, TaskRow& to) const = 0;
    /// How many targets it has, of each objective.
    virtual TargetCounts targets(const LabelledPart&, int64_t) const { return {1}; }
    /// Fills in a row with the tokens of example i; the second targets, if there are any, are its next tokens.
    void read_text(const LabelledPart& part, int64_t i, TaskRow& to) const;
    /// How many of these there are.
    int64_t next_tokens(const LabelledPart& part, int64_t i) const;
    /// The first of a row's tokens, or the last one: where the head is that names texts.
    size_t head_row(const TaskRow& row) const;

    const TaskTexts texts_;
    const LabelledPart train_, validation_;
    const EvalExamples validated_;

    /// The number of the example that a row of a step trains on.
    int64_t number(uint32_t step, uint32_t row) const { return drawn(texts_, step, row, train_.count()); }

private:
    const char* const unit_;
};

/// A judge of the examples that validate.
class LabelledJudge : public Judge {
public:
    LabelledJudge(const LabelledPart& part, const EvalExamples& validated) : part_(part), validated_(validated) {}

protected:
    /// The number of the example in a row of the validation.
    int64_t number(int64_t row) const { return validated_.number(row); }

    const LabelledPart& part_;

private:
    const EvalExamples& validated_;
};

}  // namespace nib

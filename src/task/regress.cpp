// A number for a text or a pair of texts, such as how alike two sentences are.
#include <cmath>
#include <vector>

#include "task/examples.h"
#include "task/label_scores.h"
#include "task/labelled_text.h"
#include "task/metrics/correlation.h"
#include "task/task.h"

namespace nib {
namespace {

class NumberJudge : public Judge {
public:
    NumberJudge(const LabelledPart& part, const EvalExamples& validated, std::string metric)
        : part_(part), validated_(validated), metric_(std::move(metric)) {}

    void add(int64_t row, const Predicted& predicted) override {
        actual_.push_back(static_cast<double>(part_.number(validated_.number(row))));
        found_.push_back(static_cast<double>(predicted.numbers.front()));
    }
    std::vector<Score> scores() const override { return number_scores(actual_, found_, metric_); }

private:
    const LabelledPart& part_;
    const EvalExamples& validated_;
    const std::string metric_;
    std::vector<double> actual_, found_;
};

class RegressTask : public Task {
public:
    explicit RegressTask(const TaskTexts& texts)
        : texts_(texts),
          train_(texts.train, texts.train_span),
          validation_(texts.validation, texts.validation_span),
          validated_(texts, "text", train_.count(), validation_.count()) {}

    TaskExtent extent() const override { return {"text", train_.count(), validation_.count()}; }
    bool ragged() const override { return true; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        read(train_, drawn(texts_, step, row, train_.count()), to);
    }
    TargetCounts counted(uint32_t, uint32_t) const override { return {1}; }

    int64_t validation_rows() const override { return validated_.count(); }
    void fill_validation(int64_t row, TaskRow& to) const override { read(validation_, validated_.number(row), to); }
    std::unique_ptr<Judge> judge() const override {
        return std::make_unique<NumberJudge>(validation_, validated_, texts_.metric);
    }

private:
    void read(const LabelledPart& part, int64_t i, TaskRow& to) const {
        part.read(i, to);
        to.targets[texts_.labelled_rows == HeadRows::Last ? static_cast<size_t>(to.length) - 1 : 0] = 0;
        to.numbers[0] = part.number(i);
    }

    const TaskTexts texts_;
    const LabelledPart train_, validation_;
    const EvalExamples validated_;
};

}  // namespace

std::vector<Score> number_scores(std::span<const double> actual, std::span<const double> found, const std::string& metric) {
    for (const double number : found)
        if (!std::isfinite(number))
            return {
                {"spearman", 0},
                {"pearson",  0}
            };
    std::vector<Score> all = {
        {"spearman", spearman(actual, found)},
        {"pearson",  pearson(actual,  found)},
    };
    put_first(all, metric);
    return all;
}

std::unique_ptr<Task> make_regress_task(const TaskTexts& texts) { return std::make_unique<RegressTask>(texts); }

}  // namespace nib

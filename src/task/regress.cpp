// A number for a text or a pair of texts, such as how alike two sentences are.
#include <cmath>
#include <vector>

#include "task/label_scores.h"
#include "task/labelled_task.h"
#include "task/metrics/correlation.h"

namespace nib {
namespace {

class NumberJudge : public LabelledJudge {
public:
    NumberJudge(const LabelledPart& part, const EvalExamples& validated, std::string metric)
        : LabelledJudge(part, validated), metric_(std::move(metric)) {}

    void add(int64_t row, const Predicted& predicted) override {
        actual_.push_back(static_cast<double>(part_.number(number(row))));
        found_.push_back(static_cast<double>(predicted.numbers.front()));
    }
    std::vector<Score> scores() const override { return number_scores(actual_, found_, metric_); }

private:
    const std::string metric_;
    std::vector<double> actual_, found_;
};

class RegressTask : public LabelledTask {
public:
    explicit RegressTask(const TaskTexts& texts) : LabelledTask(texts, "text") {}

    std::unique_ptr<Judge> judge() const override {
        return std::make_unique<NumberJudge>(validation_, validated_, texts_.metric);
    }

protected:
    void read(const LabelledPart& part, int64_t i, TaskRow& to) const override {
        part.read(i, to);
        to.targets[head_row(to)] = 0;
        to.numbers[0] = part.number(i);
    }
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

// The labels of a text or of a pair of texts, of which it has any number.
#include <cmath>

#include "core/error.h"
#include "task/label_scores.h"
#include "task/labelled_task.h"

namespace nib {
namespace {

class MultiLabelJudge : public LabelledJudge {
public:
    MultiLabelJudge(const LabelledPart& part, const EvalExamples& validated, std::string metric)
        : LabelledJudge(part, validated), metric_(std::move(metric)), found_(std::ssize(part.label_names())) {}

    void add(int64_t row, const Predicted& predicted) override {
        found_.add(part_.labels(number(row)), labels_above(predicted.numbers));
    }
    std::vector<Score> scores() const override { return multi_label_scores(found_, metric_); }

private:
    const std::string metric_;
    MultiLabelScores found_;
};

class MultiLabelTask : public LabelledTask {
public:
    explicit MultiLabelTask(const TaskTexts& texts) : LabelledTask(texts, "text") {}

    std::unique_ptr<Judge> judge() const override {
        return std::make_unique<MultiLabelJudge>(validation_, validated_, texts_.metric);
    }

protected:
    void read(const LabelledPart& part, int64_t i, TaskRow& to) const override {
        read_text(part, i, to);
        to.targets[head_row(to)] = 0;
        std::fill(to.numbers.begin(), to.numbers.end(), 0.0f);
        for (const int32_t label : part.labels(i)) to.numbers[static_cast<size_t>(label)] = 1;
    }
    TargetCounts targets(const LabelledPart& part, int64_t i) const override { return {1, next_tokens(part, i)}; }
};

}  // namespace

std::vector<Score> multi_label_scores(const MultiLabelScores& labels, const std::string& metric) {
    std::vector<Score> all = {
        {"micro_f1",    labels.micro_f1()   },
        {"macro_f1",    labels.macro_f1()   },
        {"exact_match", labels.exact_match()},
    };
    put_first(all, metric);
    return all;
}

std::vector<int32_t> labels_above(std::span<const float> logits, double threshold) {
    std::vector<int32_t> labels;
    for (size_t i = 0; i < logits.size(); ++i)
        if (1 / (1 + std::exp(-static_cast<double>(logits[i]))) >= threshold) labels.push_back(static_cast<int32_t>(i));
    return labels;
}

std::unique_ptr<Task> make_multi_label_task(const TaskTexts& texts) { return std::make_unique<MultiLabelTask>(texts); }

}  // namespace nib

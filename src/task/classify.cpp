// The label of a text or of a pair of texts (Devlin et al. 2018, section 4.1; of decoders Radford et al. 2018,
// section 3.2).
#include "task/label_scores.h"

#include <algorithm>

#include "core/error.h"
#include "task/class_weights.h"
#include "task/labelled_task.h"

namespace nib {
namespace {

class ClassJudge : public LabelledJudge {
public:
    ClassJudge(const LabelledPart& part, const EvalExamples& validated, std::string metric)
        : LabelledJudge(part, validated), metric_(std::move(metric)), matrix_(std::ssize(part.label_names())) {}

    void add(int64_t row, const Predicted& predicted) override {
        if (predicted.labels[0].size() != 1) fail("%zu labels were predicted for one text", predicted.labels[0].size());
        matrix_.add(part_.label(number(row)), predicted.labels[0][0]);
    }
    std::vector<Score> scores() const override { return class_scores(matrix_, metric_); }

private:
    const std::string metric_;
    ConfusionMatrix matrix_;
};

class ClassifyTask : public LabelledTask {
public:
    explicit ClassifyTask(const TaskTexts& texts) : LabelledTask(texts, "text") {
        std::vector<int64_t> counts(train_.label_names().size());
        for (int64_t i = 0; i < train_.count(); ++i) ++counts[static_cast<size_t>(train_.label(i))];
        weights_ = parse_class_weights(texts.choices.class_weights, train_.label_names(), counts);
    }

    std::unique_ptr<Judge> judge() const override {
        return std::make_unique<ClassJudge>(validation_, validated_, texts_.metric);
    }
    double weight(uint32_t step, uint32_t row) const override {
        return static_cast<double>(weights_[static_cast<size_t>(train_.label(number(step, row)))]);
    }

protected:
    // A text with its label where the head reads it.
    void read(const LabelledPart& part, int64_t i, TaskRow& to) const override {
        read_text(part, i, to);
        to.targets[head_row(to)] = part.label(i);
        to.weight = weights_[static_cast<size_t>(part.label(i))];
    }
    TargetCounts targets(const LabelledPart& part, int64_t i) const override { return {1, next_tokens(part, i)}; }

private:
    std::vector<float> weights_;  // by label
};

}  // namespace

std::vector<Score> class_scores(const ConfusionMatrix& matrix, const std::string& metric) {
    std::vector<Score> all = {
        {"accuracy", matrix.accuracy()                                            },
        {"f1",       matrix.classes() == 2 ? matrix.of(1).f1() : matrix.macro_f1()},
        {"mcc",      matrix.matthews()                                            },
    };
    put_first(all, metric);
    return all;
}

void put_first(std::vector<Score>& scores, const std::string& name) {
    const auto found = std::find_if(scores.begin(), scores.end(), [&](const Score& score) { return score.name == name; });
    if (found != scores.end()) std::rotate(scores.begin(), found, found + 1);
}

std::unique_ptr<Task> make_classify_task(const TaskTexts& texts) { return std::make_unique<ClassifyTask>(texts); }

}  // namespace nib

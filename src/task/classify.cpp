// The label of a text or of a pair of texts (Devlin et al. 2018, section 4.1; of decoders Radford et al. 2018,
// section 3.2).
#include "task/label_scores.h"

#include <algorithm>

#include "core/error.h"
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
    explicit ClassifyTask(const TaskTexts& texts) : LabelledTask(texts, "text") {}

    std::unique_ptr<Judge> judge() const override {
        return std::make_unique<ClassJudge>(validation_, validated_, texts_.metric);
    }

protected:
    // A text with its label where the head reads it; the second targets, if there are any, are its next tokens.
    void read(const LabelledPart& part, int64_t i, TaskRow& to) const override {
        part.read(i, to);
        to.targets[head_row(to)] = part.label(i);
        if (!to.second.empty()) std::copy_n(to.ids.begin() + 1, to.length - 1, to.second.begin());
    }
    TargetCounts targets(const LabelledPart& part, int64_t i) const override {
        return {1, texts_.choices.lm_weight > 0 ? part.tokens(i) - 1 : 0};
    }
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

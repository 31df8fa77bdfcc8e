// The label of a text or of a pair of texts (Devlin et al. 2018, section 4.1; of decoders Radford et al. 2018,
// section 3.2).
#include "task/label_scores.h"

#include <algorithm>

#include "core/error.h"
#include "task/examples.h"
#include "task/labelled_text.h"
#include "task/task.h"

namespace nib {
namespace {

// A text with its label where the head reads it; the second targets are its next tokens.
void read_example(const LabelledPart& part, int64_t i, HeadRows place, TaskRow& to) {
    part.read(i, to);
    const auto length = static_cast<size_t>(to.length);
    to.targets[place == HeadRows::Last ? length - 1 : 0] = part.label(i);
    if (!to.second.empty()) std::copy_n(to.ids.begin() + 1, length - 1, to.second.begin());
}

class ClassJudge : public Judge {
public:
    ClassJudge(const LabelledPart& part, const EvalExamples& validated, std::string metric)
        : part_(part),
          validated_(validated),
          metric_(std::move(metric)),
          matrix_(static_cast<int64_t>(part.label_names().size())) {}

    void add(int64_t row, const Predicted& predicted) override {
        if (predicted.labels[0].size() != 1) fail("%zu labels were predicted for one text", predicted.labels[0].size());
        matrix_.add(part_.label(validated_.number(row)), predicted.labels[0][0]);
    }
    std::vector<Score> scores() const override { return class_scores(matrix_, metric_); }

private:
    const LabelledPart& part_;
    const EvalExamples& validated_;
    const std::string metric_;
    ConfusionMatrix matrix_;
};

class ClassifyTask : public Task {
public:
    explicit ClassifyTask(const TaskTexts& texts)
        : texts_(texts),
          train_(texts.train, texts.train_span),
          validation_(texts.validation, texts.validation_span),
          validated_(texts, "text", train_.count(), validation_.count()) {}

    TaskExtent extent() const override { return {"text", train_.count(), validation_.count()}; }
    bool ragged() const override { return true; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        read_example(train_, drawn(texts_, step, row, train_.count()), texts_.labelled_rows, to);
    }
    TargetCounts counted(uint32_t step, uint32_t row) const override {
        if (texts_.choices.lm_weight == 0) return {1};
        return {1, train_.tokens(drawn(texts_, step, row, train_.count())) - 1};
    }

    int64_t validation_rows() const override { return validated_.count(); }
    void fill_validation(int64_t row, TaskRow& to) const override {
        read_example(validation_, validated_.number(row), texts_.labelled_rows, to);
    }
    std::unique_ptr<Judge> judge() const override {
        return std::make_unique<ClassJudge>(validation_, validated_, texts_.metric);
    }

private:
    const TaskTexts texts_;
    const LabelledPart train_, validation_;
    const EvalExamples validated_;
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

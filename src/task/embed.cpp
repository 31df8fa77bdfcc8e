// Embeddings of texts: those that are alike come nearer, all others of a batch farther away (Henderson et al. 2017; Reimers
// and Gurevych 2019).
#include <cmath>
#include <vector>

#include "core/error.h"
#include "task/examples.h"
#include "task/label_scores.h"
#include "task/labelled_text.h"
#include "task/task.h"

namespace nib {
namespace {

// How well cosines follow the numbers of pairs or, without numbers, how often a text finds its own in a batch.
class EmbeddingJudge : public Judge {
public:
    EmbeddingJudge(const LabelledPart& part, const EvalExamples& validated) : part_(part), validated_(validated) {}

    void add(int64_t row, const Predicted& predicted) override {
        const auto number = static_cast<double>(part_.number(validated_.number(row)));
        numbered_ = numbered_ && std::isfinite(number);
        actual_.push_back(number);
        cosines_.push_back(static_cast<double>(predicted.numbers.front()));
        found_ += predicted.labels[0].front();
    }
    std::vector<Score> scores() const override {
        if (numbered_) return number_scores(actual_, cosines_);
        return {
            {"accuracy", static_cast<double>(found_) / static_cast<double>(cosines_.size())}
        };
    }

private:
    const LabelledPart& part_;
    const EvalExamples& validated_;
    std::vector<double> actual_, cosines_;
    int64_t found_ = 0;
    bool numbered_ = true;
};

class EmbedTask : public Task {
public:
    explicit EmbedTask(const TaskTexts& texts)
        : texts_(texts),
          train_(texts.train, texts.train_span),
          validation_(texts.validation, texts.validation_span),
          validated_(texts, "pair", train_.count(), validation_.count()) {
        if (texts.rows < 2) fail("embeddings are learned from the other texts of a batch; it takes 2 rows or more");
    }

    TaskExtent extent() const override { return {"pair", train_.count(), validation_.count()}; }
    bool ragged() const override { return true; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        read(train_, drawn(texts_, step, row, train_.count()), to);
    }
    TargetCounts counted(uint32_t, uint32_t) const override { return {1}; }

    int64_t validation_rows() const override { return validated_.count(); }
    void fill_validation(int64_t row, TaskRow& to) const override { read(validation_, validated_.number(row), to); }
    std::unique_ptr<Judge> judge() const override { return std::make_unique<EmbeddingJudge>(validation_, validated_); }

private:
    static void read(const LabelledPart& part, int64_t i, TaskRow& to) {
        part.read(i, to);
        to.targets[0] = 0;
    }

    const TaskTexts texts_;
    const LabelledPart train_, validation_;
    const EvalExamples validated_;
};

}  // namespace

std::unique_ptr<Task> make_embed_task(const TaskTexts& texts) { return std::make_unique<EmbedTask>(texts); }

}  // namespace nib

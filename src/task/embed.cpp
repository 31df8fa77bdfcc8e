// Embeddings of texts: those that are alike come nearer, all others of a batch farther away (Henderson et al. 2017; Reimers
// and Gurevych 2019).
#include <cmath>
#include <vector>

#include "task/label_scores.h"
#include "task/labelled_task.h"

namespace nib {
namespace {

// How well cosines follow the numbers of pairs or, without numbers, how often a text finds its own in a batch.
class EmbeddingJudge : public LabelledJudge {
public:
    using LabelledJudge::LabelledJudge;

    void add(int64_t row, const Predicted& predicted) override {
        actual_.push_back(static_cast<double>(part_.number(number(row))));
        numbered_ = numbered_ && std::isfinite(actual_.back());
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
    std::vector<double> actual_, cosines_;
    int64_t found_ = 0;
    bool numbered_ = true;
};

class EmbedTask : public LabelledTask {
public:
    explicit EmbedTask(const TaskTexts& texts) : LabelledTask(texts, "pair") {}

    std::unique_ptr<Judge> judge() const override { return std::make_unique<EmbeddingJudge>(validation_, validated_); }

protected:
    void read(const LabelledPart& part, int64_t i, TaskRow& to) const override {
        part.read(i, to);
        to.targets[0] = 0;
    }
};

}  // namespace

std::unique_ptr<Task> make_embed_task(const TaskTexts& texts) { return std::make_unique<EmbedTask>(texts); }

}  // namespace nib

// The tags of words, such as names and what they are of (Devlin et al. 2018, section 5.3): each is told at its first token.
#include <algorithm>
#include <string>
#include <vector>

#include "task/examples.h"
#include "task/label_scores.h"
#include "task/labelled_text.h"
#include "task/task.h"

namespace nib {
namespace {

class TagJudge : public Judge {
public:
    TagJudge(const LabelledPart& part, const EvalExamples& validated) : part_(part), validated_(validated) {}

    void add(int64_t row, const Predicted& predicted) override {
        std::vector<std::string> actual, found;
        for (const int32_t tag : part_.tags(validated_.number(row)))
            if (tag != kIgnore) actual.push_back(part_.label_names()[static_cast<size_t>(tag)]);
        for (const int32_t tag : predicted.labels[0]) found.push_back(part_.label_names()[static_cast<size_t>(tag)]);
        scores_.add(actual, found);
    }
    std::vector<Score> scores() const override { return tag_scores(scores_); }

private:
    const LabelledPart& part_;
    const EvalExamples& validated_;
    TagScores scores_;
};

class TagTask : public Task {
public:
    explicit TagTask(const TaskTexts& texts)
        : texts_(texts),
          train_(texts.train, texts.train_span),
          validation_(texts.validation, texts.validation_span),
          validated_(texts, "sentence", train_.count(), validation_.count()) {}

    TaskExtent extent() const override { return {"sentence", train_.count(), validation_.count()}; }
    bool ragged() const override { return true; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        read(train_, drawn(texts_, step, row, train_.count()), to);
    }
    TargetCounts counted(uint32_t step, uint32_t row) const override {
        const auto tags = train_.tags(drawn(texts_, step, row, train_.count()));
        return {std::ssize(tags) - std::count(tags.begin(), tags.end(), kIgnore)};
    }

    int64_t validation_rows() const override { return validated_.count(); }
    void fill_validation(int64_t row, TaskRow& to) const override { read(validation_, validated_.number(row), to); }
    std::unique_ptr<Judge> judge() const override { return std::make_unique<TagJudge>(validation_, validated_); }

private:
    static void read(const LabelledPart& part, int64_t i, TaskRow& to) {
        part.read(i, to);
        std::copy_n(part.tags(i).begin(), part.tags(i).size(), to.targets.begin());
    }
    const TaskTexts texts_;
    const LabelledPart train_, validation_;
    const EvalExamples validated_;
};

}  // namespace

std::vector<Score> tag_scores(const TagScores& tags) {
    return {
        {"f1",       tags.overall().f1()},
        {"accuracy", tags.accuracy()    },
    };
}

std::unique_ptr<Task> make_tag_task(const TaskTexts& texts) { return std::make_unique<TagTask>(texts); }

}  // namespace nib

// The tags of words, such as names and what they are of (Devlin et al. 2018, section 5.3): each is told at its first token.
#include <algorithm>
#include <string>
#include <vector>

#include "task/label_scores.h"
#include "task/labelled_task.h"

namespace nib {
namespace {

class TagJudge : public LabelledJudge {
public:
    using LabelledJudge::LabelledJudge;

    void add(int64_t row, const Predicted& predicted) override {
        std::vector<std::string> actual, found;
        for (const int32_t tag : part_.tags(number(row)))
            if (tag != kIgnore) actual.push_back(part_.label_names()[static_cast<size_t>(tag)]);
        for (const int32_t tag : predicted.labels[0]) found.push_back(part_.label_names()[static_cast<size_t>(tag)]);
        scores_.add(actual, found);
    }
    std::vector<Score> scores() const override { return tag_scores(scores_); }

private:
    TagScores scores_;
};

class TagTask : public LabelledTask {
public:
    explicit TagTask(const TaskTexts& texts) : LabelledTask(texts, "sentence") {}

    std::unique_ptr<Judge> judge() const override { return std::make_unique<TagJudge>(validation_, validated_); }

protected:
    void read(const LabelledPart& part, int64_t i, TaskRow& to) const override {
        part.read(i, to);
        std::copy_n(part.tags(i).begin(), part.tags(i).size(), to.targets.begin());
    }
    TargetCounts targets(const LabelledPart& part, int64_t i) const override {
        const auto tags = part.tags(i);
        return {std::ssize(tags) - std::count(tags.begin(), tags.end(), kIgnore)};
    }
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

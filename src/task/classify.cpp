// The label of a text or of a pair of texts (Devlin et al. 2018, section 4.1; of decoders Radford et al. 2018,
// section 3.2).
#include "task/classify.h"

#include <algorithm>

#include "core/error.h"
#include "task/examples.h"
#include "task/labelled_text.h"
#include "task/task.h"

namespace nib {
namespace {

const LabelledText& examples_of(const TokenText& text) {
    const auto* labelled = dynamic_cast<const LabelledText*>(&text);
    if (labelled == nullptr) fail("the texts have no labels");
    return *labelled;
}

// The examples that begin within a span of a text.
struct Part {
    Part(const TokenText& of, Span span) : text(examples_of(of)), first(number_at(span.begin)) {
        count = number_at(span.end) - first;
    }
    int64_t number_at(int64_t token) const { return token >= text.size() ? text.documents() : text.document_of(token); }
    void read(int64_t i, HeadRows place, TaskRow& to) const {
        const Span span = text.document(first + i);
        const auto length = static_cast<size_t>(span.size());
        if (length > to.ids.size()) fail("an example of %zu tokens does not fit into rows of %zu", length, to.ids.size());
        text.read(span.begin, to.ids.first(length));
        std::fill(to.ids.begin() + static_cast<std::ptrdiff_t>(length), to.ids.end(), 0);
        if (!to.segments.empty()) std::copy_n(text.segments(first + i).begin(), length, to.segments.begin());
        std::fill(to.targets.begin(), to.targets.end(), kIgnore);
        to.targets[place == HeadRows::Last ? length - 1 : 0] = text.label(first + i);
        to.length = static_cast<int32_t>(length);
    }

    const LabelledText& text;
    int64_t first, count;
};

class ClassJudge : public Judge {
public:
    ClassJudge(const Part& part, const EvalExamples& validated, std::string metric)
        : part_(part),
          validated_(validated),
          metric_(std::move(metric)),
          matrix_(static_cast<int64_t>(part.text.label_names().size())) {}

    void add(int64_t row, const Predicted& predicted) override {
        if (predicted[0].size() != 1) fail("%zu labels were predicted for one text", predicted[0].size());
        matrix_.add(part_.text.label(part_.first + validated_.number(row)), predicted[0][0]);
    }
    std::vector<Score> scores() const override { return class_scores(matrix_, metric_); }

private:
    const Part& part_;
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
          validated_(texts, "text", train_.count, validation_.count) {}

    TaskExtent extent() const override { return {"text", train_.count, validation_.count}; }
    bool ragged() const override { return true; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override {
        const uint64_t number = uint64_t{step} * static_cast<uint64_t>(texts_.rows) + row;
        train_.read(shuffled(texts_.seed, number, train_.count), texts_.labelled_rows, to);
    }
    TargetCounts counted(uint32_t, uint32_t) const override { return {1}; }

    int64_t validation_rows() const override { return validated_.count(); }
    void fill_validation(int64_t row, TaskRow& to) const override {
        validation_.read(validated_.number(row), texts_.labelled_rows, to);
    }
    std::unique_ptr<Judge> judge() const override {
        return std::make_unique<ClassJudge>(validation_, validated_, texts_.metric);
    }

private:
    const TaskTexts texts_;
    const Part train_, validation_;
    const EvalExamples validated_;
};

}  // namespace

std::vector<Score> class_scores(const ConfusionMatrix& matrix, const std::string& metric) {
    std::vector<Score> all = {
        {"accuracy", matrix.accuracy()                                            },
        {"f1",       matrix.classes() == 2 ? matrix.of(1).f1() : matrix.macro_f1()},
        {"mcc",      matrix.matthews()                                            },
    };
    const auto decides = std::find_if(all.begin(), all.end(), [&](const Score& score) { return score.name == metric; });
    if (decides != all.end()) std::rotate(all.begin(), decides, decides + 1);
    return all;
}

std::unique_ptr<Task> make_classify_task(const TaskTexts& texts) { return std::make_unique<ClassifyTask>(texts); }

}  // namespace nib

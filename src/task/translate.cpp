// Translation: pairs of texts, for models with an encoder (Vaswani et al. 2017).
#include <algorithm>
#include <vector>

#include "core/error.h"
#include "task/examples.h"
#include "task/task.h"
#include "text/token_file.h"

namespace nib {
namespace {

const TokenFile& pairs_of(const TokenText& text) {
    const auto* file = dynamic_cast<const TokenFile*>(&text);
    if (file == nullptr) fail("the texts are no pairs");
    return *file;
}

// The pairs (pair_text) that begin within a span of a text.
class Pairs {
public:
    Pairs(const TokenText& text, Span span, int32_t start)
        : text_(pairs_of(text)), start_(start), range_(documents_within(text, span)) {
        std::vector<int32_t> ids;
        std::vector<uint8_t> marks;
        for (int64_t i = 0; i < range_.count; ++i) {
            const Span pair = text_.document(range_.first + i);
            const auto size = static_cast<size_t>(pair.size());
            ids.resize(size), marks.resize(size);
            text_.read(pair.begin, ids, marks);
            const auto target = std::find(marks.begin(), marks.end(), 1);
            sources_.push_back(static_cast<int32_t>(target - marks.begin()));
            if (sources_.back() == 0 || target == marks.end()) fail("a pair of texts has an empty one");
        }
    }

    int64_t count() const { return range_.count; }
    // Tokens that pair i predicts.
    int64_t targets(int64_t i) const { return text_.document(range_.first + i).size() - source(i); }

    // Of "a b c ." and "x y ." (the mark that ends them is "."):
    //     source   a b c .
    //     ids      S x y
    //     targets  x y .        S: what the decoder starts with
    void read(int64_t i, TaskRow& row) const {
        const Span pair = text_.document(range_.first + i);
        const auto length = static_cast<size_t>(source(i)), count = static_cast<size_t>(targets(i));
        if (length > row.source.size() || count > row.ids.size())
            fail("a pair of %zu and %zu tokens does not fit into rows of %zu", length, count, row.ids.size());
        std::fill(row.source.begin(), row.source.end(), 0);
        std::fill(row.ids.begin(), row.ids.end(), 0);
        std::fill(row.targets.begin(), row.targets.end(), kIgnore);
        text_.read(pair.begin, row.source.first(length));
        row.source_length = source(i);
        text_.read(pair.begin + source(i), row.targets.first(count));
        row.ids[0] = start_;
        std::copy_n(row.targets.begin(), count - 1, row.ids.begin() + 1);
    }

private:
    int32_t source(int64_t i) const { return sources_[static_cast<size_t>(i)]; }

    const TokenFile& text_;
    const int32_t start_;
    const DocumentRange range_;
    std::vector<int32_t> sources_;  // tokens of each
};

class TranslateTask : public Task {
public:
    explicit TranslateTask(const TaskTexts& texts)
        : texts_(texts),
          train_(texts.train, texts.train_span, texts.start),
          validation_(texts.validation, texts.validation_span, texts.start),
          validated_(texts, "pair", train_.count(), validation_.count()) {}

    TaskExtent extent() const override { return {"pair", train_.count(), validation_.count()}; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override { train_.read(number(step, row), to); }
    TargetCounts counted(uint32_t step, uint32_t row) const override { return {train_.targets(number(step, row))}; }

    int64_t validation_rows() const override { return validated_.count(); }
    void fill_validation(int64_t row, TaskRow& to) const override { validation_.read(validated_.number(row), to); }

private:
    int64_t number(uint32_t step, uint32_t row) const { return drawn(texts_, step, row, train_.count()); }

    const TaskTexts texts_;
    const Pairs train_, validation_;
    const EvalExamples validated_;
};

}  // namespace

std::unique_ptr<Task> make_translate_task(const TaskTexts& texts) { return std::make_unique<TranslateTask>(texts); }

}  // namespace nib

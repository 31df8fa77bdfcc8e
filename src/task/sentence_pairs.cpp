// BERT's pre-training (Devlin et al. 2018, section 3.1): masked tokens of two texts, and whether the second follows the
// first.
#include <algorithm>
#include <functional>
#include <vector>

#include "core/error.h"
#include "core/philox.h"
#include "task/masked_rows.h"
#include "task/task.h"

namespace nib {
namespace {

// The labels of the head `nsp`, as BERT's checkpoints have them.
constexpr int32_t kFollows = 0, kDoesNot = 1;
constexpr int64_t kMarks = 3;  // [CLS] first [SEP] second [SEP]

// Two texts, as spans of the tokens they are taken from.
struct TextPair {
    Span first, second;
    bool follows;
};

// Pairs of texts out of the documents of a span.
class TextPairs {
public:
    // `purpose`: what the text is for, for messages.
    TextPairs(const TokenText& text, Span span, int64_t context, uint64_t seed, const Tokenizer& tokenizer,
              const char* purpose)
        : text_(text),
          span_(span),
          room_(context - kMarks),
          seed_(seed),
          begin_(tokenizer.begin_token()),
          end_(tokenizer.end_token()) {
        if (room_ < 2) fail("a context of %lld has no room for two texts", static_cast<long long>(context));
        if (span.size() == 0) return;
        if (text.document_of(span.begin) == text.document_of(span.end - 1))
            fail("pairs of texts are taken from several documents, but what %s is one; documents may end at blank lines",
                 purpose);
    }

    // A pair whose first text begins anywhere. Half of the second texts follow it, the others are of another document.
    TextPair pair(uint32_t step, uint32_t row) const {
        uint32_t number = 0;
        const auto draw = [&](int64_t below) {
            return draw_below(philox({number++, row, kPairStream, step}, seed_), below);
        };
        Span home{0, 0};
        int64_t start = 0;
        while (home.end - start < 2) {  // a text needs a successor
            if (number == kAttempts) fail("the documents are too short for pairs of texts");
            start = span_.begin + draw(span_.size());
            home = inside(text_.document_of(start));
            start = std::max(start, home.begin);
        }
        const int64_t both = std::min(room_, home.end - start);
        TextPair pair{
            {start, start + 1 + draw(both - 1)},
            {0,     0                         },
            draw(2) == 0
        };
        const Span next{pair.first.end, start + both}, other = elsewhere(text_.document_of(start), draw);
        // Both are as long as the shorter of them, or the length would tell which it is.
        pair.second = pair.follows ? next : other;
        pair.second.end = pair.second.begin + std::min(next.size(), other.size());
        return pair;
    }

    const TokenText& text() const { return text_; }
    int64_t tokens() const { return span_.size(); }

private:
    static constexpr uint32_t kAttempts = 1000;

    // The part of a document that is in the span, without the marks that begin and end it.
    Span inside(int64_t document) const {
        const Span all = text_.document(document);
        Span part{std::max(all.begin, span_.begin), std::min(all.end, span_.end)};
        while (part.size() > 0 && is_mark(part.begin)) ++part.begin;
        while (part.size() > 0 && is_mark(part.end - 1)) --part.end;
        return part;
    }
    bool is_mark(int64_t at) const {
        int32_t id = 0;
        text_.read(at, {&id, 1});
        return id == begin_ || id == end_;
    }
    // A text that begins anywhere in another document.
    Span elsewhere(int64_t home, const std::function<int64_t(int64_t below)>& draw) const {
        const Span all = text_.document(home), taken{std::max(all.begin, span_.begin), std::min(all.end, span_.end)};
        for (uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
            int64_t start = span_.begin + draw(span_.size() - taken.size());
            if (start >= taken.begin) start += taken.size();
            const Span other = inside(text_.document_of(start));
            if (start < other.end) return {std::max(start, other.begin), other.end};
        }
        fail("the documents are too short for pairs of texts");
    }

    const TokenText& text_;
    const Span span_;
    const int64_t room_;
    const uint64_t seed_;
    const int32_t begin_, end_;
};

class SentencePairsTask : public Task {
public:
    explicit SentencePairsTask(const TaskTexts& texts)
        : texts_(texts),
          masked_(texts.seed, texts.tokenizer, texts.choices.whole_words),
          train_(texts.train, texts.train_span, texts.context, texts.seed, texts.tokenizer, "trains"),
          validation_(texts.validation, texts.validation_span, texts.context, texts.seed, texts.tokenizer, "validates") {
        if (!texts.tokenizer.begins_texts() || !texts.tokenizer.ends_texts())
            fail("pairs of texts need a vocabulary with tokens that begin and end them, such as [CLS] and [SEP]");
        const int64_t tokens =
            texts.validation_tokens > 0 ? std::min(texts.validation_tokens, validation_.tokens()) : validation_.tokens();
        rows_ = tokens > 0 ? std::max<int64_t>(1, tokens / texts.context) : 0;
    }

    TaskExtent extent() const override { return texts_.extent(); }
    bool ragged() const override { return true; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override { fill(train_, step, row, to); }
    TargetCounts counted(uint32_t step, uint32_t row) const override {
        const TextPair pair = train_.pair(step, row);
        std::vector<int32_t> ids(static_cast<size_t>(std::max(pair.first.size(), pair.second.size())));
        int64_t masked = 0;
        for (const Span& span : {pair.first, pair.second}) {
            const auto part = std::span(ids).first(static_cast<size_t>(span.size()));
            train_.text().read(span.begin, part);
            masked += masked_.count(step, row, part, first_number(pair, span));
        }
        return {masked, 1};
    }

    int64_t validation_rows() const override { return rows_; }
    void fill_validation(int64_t row, TaskRow& to) const override {
        fill(validation_, kValidationStep, static_cast<uint32_t>(row), to);
    }
    std::unique_ptr<Judge> judge() const override;

private:
    // Where a text of a pair stands in its row.
    static uint32_t first_number(const TextPair& pair, const Span& text) {
        return text == pair.first ? 1 : static_cast<uint32_t>(pair.first.size()) + 2;
    }

    void fill(const TextPairs& pairs, uint32_t step, uint32_t row, TaskRow& to) const {
        const TextPair pair = pairs.pair(step, row);
        std::fill(to.targets.begin(), to.targets.end(), kIgnore);
        size_t at = 0;
        const auto put = [&](int32_t id, int32_t segment) {
            to.ids[at] = id;
            if (!to.segments.empty()) to.segments[at] = segment;
            ++at;
        };
        put(texts_.tokenizer.begin_token(), 0);
        for (const int32_t segment : {0, 1}) {
            const Span span = segment == 0 ? pair.first : pair.second;
            const auto count = static_cast<size_t>(span.size());
            pairs.text().read(span.begin, to.ids.subspan(at, count));
            if (!to.segments.empty()) std::fill_n(&to.segments[at], count, segment);
            masked_.mask(step, row, to.ids.subspan(at, count), to.targets.subspan(at, count), static_cast<uint32_t>(at));
            at += count;
            put(texts_.tokenizer.end_token(), segment);
        }
        std::fill(to.ids.begin() + static_cast<std::ptrdiff_t>(at), to.ids.end(), 0);
        to.second[0] = pair.follows ? kFollows : kDoesNot;
        to.length = static_cast<int32_t>(at);
    }

    const TaskTexts texts_;
    const MaskedRows masked_;
    const TextPairs train_, validation_;
    int64_t rows_ = 0;
};

// How often masked tokens are found, and how often it is told whether texts follow one another.
class PairsJudge : public Judge {
public:
    PairsJudge(const SentencePairsTask& task, size_t context)
        : task_(task), ids_(context), targets_(context), segments_(context), second_(context) {}

    void add(int64_t row, const Predicted& predicted) override {
        TaskRow to{.ids = ids_, .targets = targets_, .segments = segments_, .second = second_};
        task_.fill_validation(row, to);
        size_t at = 0;
        for (const int32_t target : targets_)
            if (target != kIgnore) found_ += predicted.labels[0][at++] == target;
        masked_ += static_cast<int64_t>(at);
        told_ += predicted.labels[1][0] == second_[0];
        ++pairs_;
    }
    std::vector<Score> scores() const override {
        const auto share = [](int64_t part, int64_t all) {
            return static_cast<double>(part) / static_cast<double>(std::max<int64_t>(all, 1));
        };
        return {
            {"mlm_accuracy", share(found_, masked_)},
            {"nsp_accuracy", share(told_,  pairs_) },
        };
    }
    bool decides() const override { return false; }

private:
    const SentencePairsTask& task_;
    std::vector<int32_t> ids_, targets_, segments_, second_;
    int64_t found_ = 0, masked_ = 0, told_ = 0, pairs_ = 0;
};

std::unique_ptr<Judge> SentencePairsTask::judge() const {
    return std::make_unique<PairsJudge>(*this, static_cast<size_t>(texts_.context));
}

}  // namespace

std::unique_ptr<Task> make_sentence_pairs_task(const TaskTexts& texts) {
    return std::make_unique<SentencePairsTask>(texts);
}

}  // namespace nib

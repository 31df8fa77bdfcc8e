#include "task/pairs.h"

#include <algorithm>

#include "core/error.h"
#include "task/examples.h"

namespace nib {

void check_pair_tabs(int64_t tabs) {
    if (tabs != 1) fail("not a source, a tab and a target: it has %s", counted(tabs, "tab").c_str());
}

void check_pair_half(const char* what, int64_t size, const char* unit, bool ends, int64_t context) {
    if (size + ends > context)
        fail("a %s of %s, but a context of %lld has room for %lld", what, counted(size, unit).c_str(),
             static_cast<long long>(context), static_cast<long long>(context - ends));
}

Pairs::Pairs(const CharacterText& text, Span span, int64_t context) : text_(text), context_(context) {
    for (size_t file = 0; file < text.corpus().files(); ++file) read_file(file, span);
}

// Lines end at a line feed, with a carriage return before it or not, and at the end of the file.
void Pairs::read_file(size_t file, Span span) {
    constexpr int64_t kPiece = 1 << 14;
    const Span all = text_.corpus().file_span(file);
    if (span.begin >= all.end || span.end <= all.begin) return;
    const CharTokenizer& characters = text_.tokenizer();
    const int32_t tab = characters.id_of(kPairTab), end = characters.id_of(kPairEnd), carriage = characters.id_of(U'\r');
    std::vector<int32_t> ids(kPiece);
    Line line{file, 1, all.begin, all.begin, -1, 0};
    int32_t last = -1;
    const auto finish = [&](int64_t at) {
        line.end = carriage >= 0 && last == carriage && at > line.begin ? at - 1 : at;
        if (line.begin >= span.begin && line.end > line.begin) add(line);
        line = {file, line.number + 1, at + 1, at + 1, -1, 0};
    };
    for (int64_t at = all.begin; at < all.end && line.begin < span.end; at += kPiece) {
        const auto piece = std::span(ids).first(static_cast<size_t>(std::min(kPiece, all.end - at)));
        text_.read(at, piece);
        for (size_t i = 0; i < piece.size() && line.begin < span.end; ++i) {
            const int64_t here = at + static_cast<int64_t>(i);
            if (piece[i] == tab && line.tabs++ == 0) line.tab = here;
            if (piece[i] == end) finish(here);
            last = piece[i];
        }
    }
    if (line.begin < std::min(span.end, all.end)) finish(all.end);
}

void Pairs::add(const Line& line) {
    try {
        check_pair_tabs(line.tabs);
        check_pair_half("source", line.tab - line.begin, "character", true, context_);
        check_pair_half("target", line.end - line.tab - 1, "character", true, context_);
    } catch (const Error& error) {
        throw error.within(strprintf("%s: line %lld", printable(text_.corpus().file_path(line.file)).c_str(),
                                     static_cast<long long>(line.number)));
    }
    pairs_.push_back({line.begin, line.tab, line.end});
}

int64_t Pairs::targets(int64_t i) const {
    const Pair& pair = pairs_[static_cast<size_t>(i)];
    return pair.end - pair.tab;
}

void Pairs::read(int64_t i, TaskRow& row) const {
    const Pair& pair = pairs_[static_cast<size_t>(i)];
    const int32_t end = text_.tokenizer().id_of(kPairEnd);
    const auto length = static_cast<size_t>(pair.tab - pair.begin), count = static_cast<size_t>(targets(i));
    text_.read(pair.begin, row.source.first(length));
    std::fill(row.source.begin() + static_cast<std::ptrdiff_t>(length), row.source.end(), end);
    row.source_length = static_cast<int32_t>(length + 1);
    text_.read(pair.tab, row.ids.first(count));
    std::fill(row.ids.begin() + static_cast<std::ptrdiff_t>(count), row.ids.end(), end);
    std::copy_n(row.ids.begin() + 1, count - 1, row.targets.begin());
    row.targets[count - 1] = end;
    std::fill(row.targets.begin() + static_cast<std::ptrdiff_t>(count), row.targets.end(), kIgnore);
}

namespace {

const CharacterText& characters_of(const TokenText& text) {
    const auto* characters = dynamic_cast<const CharacterText*>(&text);
    if (characters == nullptr) fail("models learn pairs of lines from characters only");
    return *characters;
}

class PairsTask : public Task {
public:
    explicit PairsTask(const TaskTexts& texts)
        : seed_(texts.seed),
          train_(characters_of(texts.train), texts.train_span, texts.context),
          validation_(characters_of(texts.validation), texts.validation_span, texts.context),
          validated_(texts, "pair", train_.count(), validation_.count()) {}

    TaskExtent extent() const override { return {"pair", train_.count(), validation_.count()}; }
    void fill(uint32_t step, uint32_t row, TaskRow& to) const override { train_.read(drawn(step, row), to); }
    TargetCounts counted(uint32_t step, uint32_t row) const override { return {train_.targets(drawn(step, row))}; }

    int64_t validation_rows() const override { return validated_.count(); }
    void fill_validation(int64_t row, TaskRow& to) const override { validation_.read(validated_.number(row), to); }

private:
    // The number of a random pair.
    int64_t drawn(uint32_t step, uint32_t row) const { return window_start(seed_, step, row, {0, train_.count() + 1}, 1); }

    const uint64_t seed_;
    const Pairs train_, validation_;
    const EvalExamples validated_;
};

}  // namespace

std::unique_ptr<Task> make_pairs_task(const TaskTexts& texts) { return std::make_unique<PairsTask>(texts); }

}  // namespace nib

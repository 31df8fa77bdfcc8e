#include "train/pairs.h"

#include <algorithm>

#include "core/error.h"
#include "core/op.h"

namespace nib {

Pairs::Pairs(const Corpus& corpus, const CharTokenizer& tokenizer, Span span, int64_t context)
    : corpus_(corpus), tokenizer_(tokenizer) {
    constexpr int64_t kPiece = 1 << 14;
    const int32_t tab = tokenizer.id_of(kPairTab), end = tokenizer.id_of(kPairEnd);
    std::vector<int32_t> ids(kPiece);
    Pair pair{0, -1, 0};
    int64_t tabs = 0, line = 1;
    const auto finish = [&](int64_t at) {
        pair.end = at;
        if (pair.begin >= span.begin && pair.end > pair.begin) add(pair, tabs, line, context);
        pair = {at + 1, -1, 0}, tabs = 0, ++line;
    };
    for (int64_t at = 0; at < corpus.size() && pair.begin < span.end; at += kPiece) {
        const auto piece = std::span(ids).first(static_cast<size_t>(std::min(kPiece, corpus.size() - at)));
        corpus.read(at, piece, tokenizer);
        for (size_t i = 0; i < piece.size() && pair.begin < span.end; ++i) {
            const int64_t here = at + static_cast<int64_t>(i);
            if (piece[i] == tab && tabs++ == 0) pair.tab = here;
            if (piece[i] == end) finish(here);
        }
    }
    if (pair.begin < span.end) finish(corpus.size());  // a last line without an end
}

void Pairs::add(const Pair& pair, int64_t tabs, int64_t line, int64_t context) {
    const auto number = static_cast<long long>(line);
    if (tabs != 1) fail("line %lld is not a source, a tab and a target: it has %s", number, counted(tabs, "tab").c_str());
    for (const auto& [what, size] : {
             std::pair("source", pair.tab - pair.begin), {"target", pair.end - pair.tab - 1}
    })
        if (size >= context)
            fail("the %s of line %lld has %s, but a context of %lld has room for %lld", what, number,
                 counted(size, "character").c_str(), static_cast<long long>(context), static_cast<long long>(context - 1));
    pairs_.push_back(pair);
}

int64_t Pairs::targets(int64_t i) const {
    const Pair& pair = pairs_[static_cast<size_t>(i)];
    return pair.end - pair.tab;
}

void Pairs::read(int64_t i, const PairRow& row) const {
    const Pair& pair = pairs_[static_cast<size_t>(i)];
    const int32_t end = tokenizer_.id_of(kPairEnd);
    const auto length = static_cast<size_t>(pair.tab - pair.begin), count = static_cast<size_t>(targets(i));
    corpus_.read(pair.begin, row.source.first(length), tokenizer_);
    std::fill(row.source.begin() + static_cast<std::ptrdiff_t>(length), row.source.end(), end);
    row.source_length = static_cast<int32_t>(length + 1);
    corpus_.read(pair.tab, row.ids.first(count), tokenizer_);
    std::fill(row.ids.begin() + static_cast<std::ptrdiff_t>(count), row.ids.end(), end);
    std::copy_n(row.ids.begin() + 1, count - 1, row.targets.begin());
    row.targets[count - 1] = end;
    std::fill(row.targets.begin() + static_cast<std::ptrdiff_t>(count), row.targets.end(), kIgnore);
}

}  // namespace nib

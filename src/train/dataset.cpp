#include "train/dataset.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "core/hash.h"

namespace nib {

std::vector<char32_t> Dataset::characters() const {
    if (!other) return text->characters();
    std::vector<char32_t> all;
    std::set_union(text->characters().begin(), text->characters().end(), other->characters().begin(),
                   other->characters().end(), std::back_inserter(all));
    return all;
}

Dataset open_dataset(const std::vector<std::string>& inputs, const std::string& val_file, double val_fraction,
                     int64_t context) {
    Dataset data;
    data.text = std::make_unique<Corpus>(inputs);
    if (val_file.empty()) {
        std::tie(data.train, data.val) = split(*data.text, val_fraction, context);
        return data;
    }
    data.other = std::make_unique<Corpus>(std::vector{val_file});
    data.train = split(*data.text, 0, context).first;
    try {
        data.val = split(*data.other, 0, context).first;
    } catch (const Error& error) {
        throw error.within(printable(val_file));
    }
    return data;
}

TextIdentity identify(const Corpus& corpus, const CharTokenizer& tokenizer) {
    constexpr int64_t kPiece = 4096, kPieces = 256;
    Hash64 hash;
    std::vector<int32_t> ids(kPiece);
    const int64_t pieces = std::min(kPieces, (corpus.size() + kPiece - 1) / kPiece);
    const int64_t last = corpus.size() - std::min(corpus.size(), kPiece);  // where the last piece begins
    for (int64_t i = 0; i < pieces; ++i) {
        const int64_t begin = pieces == 1 ? 0
                                          : static_cast<int64_t>(static_cast<double>(last) * static_cast<double>(i) /
                                                                 static_cast<double>(pieces - 1));
        const auto piece = std::span(ids).first(static_cast<size_t>(std::min(kPiece, corpus.size() - begin)));
        corpus.read(begin, piece, tokenizer);
        hash.add(std::as_bytes(piece));
    }
    return {corpus.size(), hash.value()};
}

}  // namespace nib

// How often each word of a text occurs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/normalizer.h"
#include "text/piece_workers.h"
#include "text/pre_tokenizer.h"
#include "text/text_source.h"

namespace nib {

struct CountedWord {
    std::string_view text;
    uint64_t count;
};

class WordCounts {
public:
    WordCounts();

    void add(std::string_view word, uint64_t count = 1);
    void add(const WordCounts& others);

    /// All words in the order of their bytes; their texts are in this object.
    std::vector<CountedWord> sorted() const;

private:
    struct Entry {
        size_t begin;
        uint32_t size, hash;
        uint64_t count;
    };

    std::string_view text(const Entry& entry) const { return std::string_view(texts_).substr(entry.begin, entry.size); }
    void grow();

    std::string texts_;
    std::vector<Entry> entries_;
    std::vector<uint32_t> slots_;  // numbers of entries + 1, 0 for none; open addressing, at most half full
};

/// The words of all of a source's documents after normalizing and cutting, on `threads` threads; the result is the same for
/// any number of them. Error for the first text that cannot be read or cut.
WordCounts count_words(DocumentSource& source, const Normalizer& normalizer, const PreTokenizer& pre_tokenizer, int threads,
                       const WorkProgress& progress);

}  // namespace nib

// Files of texts with labels: tables (io/table_reader.h) of which one column is the text and another its label.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "task/labelled_text.h"

namespace nib {

/// Columns by name or by number, from 1 on. Empty: the label is in the column named label, class or score, else in the last
/// one; the text in that named text, sentence, sentence1, question or review, else in the first that is not the label's; a
/// second text in that named sentence2, if there is one.
struct LabelColumns {
    std::string text, second, label;
    bool header = false, no_header = false;  // neither: as TableReader finds
    bool operator==(const LabelColumns&) const = default;
};

struct LabelledFileOptions {
    LabelColumns columns;
    int64_t context = 0;    // tokens of an example at most; longer ones are shortened
    bool skip_bad = false;  // pass over rows that are not as they should be
    std::function<void(const std::string&)> note{};
};

/// The examples of files. Without `labels`, these become the labels that are found: numbers in their order, other names by
/// their bytes. Error, by file and line, for a label that is not among given ones, for a row without text or with another
/// number of columns, and when there are fewer than two labels.
std::vector<LabelledExample> read_labelled(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                           const LabelledFileOptions& options, std::vector<std::string>& labels);

}  // namespace nib

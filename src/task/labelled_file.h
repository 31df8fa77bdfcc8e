// Files of texts with labels: tables (task/table_file.h) of which one column is the text and another its label.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "task/bad_records.h"
#include "task/example_file.h"
#include "task/labelled_text.h"
#include "text/chat_template.h"

namespace nib {

/// Columns by name or by number: 1 is the first, -1 the last. Empty: the label is in the column named label, else in the
/// last one; the text, or two that belong together, in all the others; in JSON they are `label` and `text`.
struct LabelColumns {
    std::string text, second, label;
    bool header = false, no_header = false;  // neither: has_header()
    std::string separator = ",";             // between the labels of a row that may have several, but in JSON
    bool operator==(const LabelColumns&) const = default;
};

struct LabelledFileOptions {
    LabelColumns columns{};
    int64_t context = 0;                             // tokens of an example at most; longer ones are shortened
    bool skip_bad = false;                           // pass over rows that are not as they should be
    std::optional<double> least{};                   // of read_texts_apart: see there
    std::function<void(const std::string&)> note{};  // of rows that were passed over
    const ChatTemplate* chat_template = nullptr;     // of preferences: that of the model, if it has one
};

/// Tells of rows that were passed over, if there are any; `unit` is what they are called.
void note_bad(const BadRecords& bad, const char* unit, const LabelledFileOptions& options);

/// Labels each once, in the order of their numbers: those that are numbers in their order, else by their bytes.
std::vector<std::string> label_names(const std::vector<std::string>& labels);

/// A row as it is written, with its label.
struct LabelledRow {
    Example example;
    std::string where;  // "films.tsv: line 12"
};
/// Error as of read_labelled().
std::vector<LabelledRow> read_labelled_rows(const std::vector<std::string>& paths, const LabelledFileOptions& options);

/// The examples of files. Without `labels`, these become the labels that are found: numbers in their order, other names by
/// their bytes. Error, by file and line, for a label that is not among given ones, for a row without text or with several
/// labels, and when there are fewer than two labels.
std::vector<LabelledExample> read_labelled(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                           const LabelledFileOptions& options, std::vector<std::string>& labels);

/// The same of rows with any number of labels, also none: a list in JSON, or a field with LabelColumns::separator between
/// them. There may be a single label.
std::vector<LabelledExample> read_label_sets(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                             const LabelledFileOptions& options, std::vector<std::string>& labels);

/// The same of texts with numbers instead of labels; `labels` becomes the one name that transformers gives such a head.
std::vector<LabelledExample> read_numbered(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                           const LabelledFileOptions& options, std::vector<std::string>& labels);

/// Two or three texts in each row, which stay apart: each has half or a third of the context. The label, if a column is
/// named, is a number. Rows with less than `least` are left out.
std::vector<LabelledExample> read_texts_apart(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                              const LabelledFileOptions& options, std::vector<std::string>& labels);

/// The same of sentences whose words have tags (task/tagged_file.h); words that do not fit in are left out.
std::vector<LabelledExample> read_tagged(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                         const LabelledFileOptions& options, std::vector<std::string>& labels);

}  // namespace nib

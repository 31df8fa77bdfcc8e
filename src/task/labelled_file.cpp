#include "task/labelled_file.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "model/config.h"
#include "task/table_file.h"
#include "task/tagged_file.h"
#include "text/text_files.h"

namespace nib {
namespace {

// What is read before labels have numbers and texts tokens.
using Row = LabelledRow;
struct Sentence {
    TaggedSentence words;
    std::string where;
};

std::optional<int64_t> as_number(const std::string& text) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// Numbers in their order, else by their bytes.
std::vector<std::string> sorted_labels(const std::set<std::string>& names) {
    std::vector<std::string> labels(names.begin(), names.end());
    if (std::all_of(labels.begin(), labels.end(), [](const std::string& label) { return as_number(label).has_value(); }))
        std::stable_sort(labels.begin(), labels.end(),
                         [](const std::string& a, const std::string& b) { return *as_number(a) < *as_number(b); });
    return labels;
}

// How many labels a row has, in a column that is named or in the usual one; Perhaps: one, in a column that is named.
enum class RowLabels { Perhaps, One, Any };

// The columns of a file that are asked for, or else the usual ones.
TableOptions columns_of(const std::string& path, const LabelledFileOptions& options, RowLabels kind) {
    const bool labelled = kind != RowLabels::Perhaps;
    const LabelColumns& columns = options.columns;
    TableOptions table;
    table.skip_bad = options.skip_bad;
    if (columns.header || columns.no_header) table.header = columns.header;
    const bool json = has_ending_or_gz(path, ".json") || has_ending_or_gz(path, ".jsonl");
    if (!columns.text.empty()) table.texts.push_back(columns.text);
    if (!columns.second.empty()) {
        if (columns.text.empty()) fail_usage_option("second-column", "needs the column of the first text, too");
        table.texts.push_back(columns.second);
    }
    table.label = columns.label;
    if (kind == RowLabels::Any) table.separator = columns.separator;
    const auto same = [](const std::string& a, const std::string& b) { return !a.empty() && a == b; };
    if (same(columns.text, columns.second) || same(columns.text, columns.label) || same(columns.second, columns.label))
        fail_usage_option("text-column", "is named for two things");
    if (json) {
        if (table.texts.empty()) table.texts = {"text"};
        if (table.label.empty() && labelled) table.label = "label";
    } else if (table.label.empty() && labelled) {
        const std::vector<std::string> names = TableFile(path, table).names();
        table.label = std::find(names.begin(), names.end(), "label") != names.end() ? "label" : "-1";
    }
    return table;
}

// Error for what no example may be.
void check(const Example& example, RowLabels kind) {
    if (kind != RowLabels::Perhaps && example.texts.size() > 2)
        fail("has %zu columns beside the label's; say which one is the text", example.texts.size());
    if (std::all_of(example.texts.begin(), example.texts.end(), [](const std::string& text) { return text.empty(); }))
        fail("has no text");
    if (kind != RowLabels::One) return;
    if (example.labels.size() != 1)
        fail("has %zu labels; it takes one, unless rows are said to have several", example.labels.size());
    if (example.labels.front().empty()) fail("has no label");
}

// What is wrong with labels that nothing can be learned from.
void check_labels(const std::vector<std::string>& labels, const std::string& path) {
    if (labels.size() < 2)
        fail("%s: all labels are `%s`; there is nothing to tell apart", printable(path).c_str(),
             labels.empty() ? "" : printable(labels.front(), 40).c_str());
}

// The numbers of labels.
class LabelNumbers {
public:
    explicit LabelNumbers(const std::vector<std::string>& labels) {
        for (const std::string& label : labels) numbers_.emplace(label, static_cast<int32_t>(numbers_.size()));
    }
    int32_t operator()(const std::string& label) const {
        const auto found = numbers_.find(label);
        if (found == numbers_.end()) fail("the label `%s` is not one that was trained with", printable(label, 40).c_str());
        return found->second;
    }

private:
    std::unordered_map<std::string, int32_t> numbers_;
};

std::vector<Row> read_rows(const std::string& path, const LabelledFileOptions& options, RowLabels kind) {
    TableFile file(path, columns_of(path, options, kind));
    std::vector<Row> rows;
    for (Example example; file.next(example);) {
        try {
            check(example, kind);
        } catch (const Error& error) {
            file.refuse(example, error);
            continue;
        }
        rows.push_back({std::move(example), file.where(example.number)});
        example = {};
    }
    note_bad(file.bad(), "row", options);
    return rows;
}

// What `make` makes of each, which is at `where`. An Error of it ends the reading, or is counted.
template <class Record>
std::vector<LabelledExample> examples_of(const std::vector<Record>& records, const char* unit,
                                         const LabelledFileOptions& options,
                                         const std::function<LabelledExample(const Record&)>& make) {
    std::vector<LabelledExample> examples;
    BadRecords bad(options.skip_bad);
    for (const Record& record : records) try {
            examples.push_back(make(record));
        } catch (const Error& error) {
            bad.refuse(error.within(record.where));
        }
    note_bad(bad, unit, options);
    if (examples.empty()) fail("there is no %s that could be used", unit);
    return examples;
}

MarkedText encode_row(const Row& row, const Tokenizer& tokenizer, int64_t context) {
    const std::vector<std::string>& texts = row.example.texts;
    const EncodeOptions plain{.special = false};  // what spells a mark is text
    MarkedText text =
        texts.size() == 1 ? tokenizer.encode_marked(texts[0], plain) : tokenizer.encode_marked(texts[0], texts[1], plain);
    shorten(text, tokenizer, context);
    if (text.ids.empty()) fail("the text has no tokens");
    return text;
}

std::vector<Row> read_all_rows(const std::vector<std::string>& paths, const LabelledFileOptions& options,
                               RowLabels kind = RowLabels::One) {
    std::vector<Row> rows;
    for (const std::string& path : paths)
        for (Row& row : read_rows(path, options, kind)) rows.push_back(std::move(row));
    if (rows.empty()) fail("%s: has no texts", printable(paths.front()).c_str());
    return rows;
}

}  // namespace

void note_bad(const BadRecords& bad, const char* unit, const LabelledFileOptions& options) {
    if (bad.count() > 0 && options.note)
        options.note(strprintf("%s passed over, such as %s", counted(static_cast<int64_t>(bad.count()), unit).c_str(),
                               bad.reasons().front().c_str()));
}

std::vector<std::string> label_names(const std::vector<std::string>& labels) {
    return sorted_labels({labels.begin(), labels.end()});
}

std::vector<LabelledRow> read_labelled_rows(const std::vector<std::string>& paths, const LabelledFileOptions& options) {
    return read_all_rows(paths, options);
}

std::vector<LabelledExample> read_labelled(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                           const LabelledFileOptions& options, std::vector<std::string>& labels) {
    const std::vector<Row> rows = read_all_rows(paths, options);
    if (labels.empty()) {
        std::set<std::string> names;
        for (const Row& row : rows) names.insert(row.example.labels.front());
        labels = sorted_labels(names);
    }
    check_labels(labels, paths.front());
    const LabelNumbers numbers(labels);
    return examples_of<Row>(rows, "row", options, [&](const Row& row) {
        return LabelledExample{encode_row(row, tokenizer, options.context), numbers(row.example.labels.front())};
    });
}

std::vector<LabelledExample> read_label_sets(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                             const LabelledFileOptions& options, std::vector<std::string>& labels) {
    if (options.columns.separator.empty()) fail_usage_option("label-separator", "is empty; it stands between labels");
    std::vector<Row> rows = read_all_rows(paths, options, RowLabels::Any);
    std::set<std::string> names;
    bool alike = true;
    for (Row& row : rows) {
        std::vector<std::string>& own = row.example.labels;
        std::sort(own.begin(), own.end());
        own.erase(std::unique(own.begin(), own.end()), own.end());
        std::erase(own, "");
        names.insert(own.begin(), own.end());
        alike = alike && own == rows.front().example.labels;
    }
    if (labels.empty()) {
        if (names.empty()) fail("%s: no row has a label", printable(paths.front()).c_str());
        if (alike)
            fail("%s: all rows have the same labels; there is nothing to tell apart", printable(paths.front()).c_str());
        labels = sorted_labels(names);
    }
    const LabelNumbers numbers(labels);
    return examples_of<Row>(rows, "row", options, [&](const Row& row) {
        LabelledExample example;
        for (const std::string& label : row.example.labels) example.labels.push_back(numbers(label));
        example.text = encode_row(row, tokenizer, options.context);
        return example;
    });
}

std::vector<LabelledExample> read_numbered(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                           const LabelledFileOptions& options, std::vector<std::string>& labels) {
    labels = default_labels(1);
    return examples_of<Row>(read_all_rows(paths, options), "row", options, [&](const Row& row) {
        LabelledExample example;
        example.number = static_cast<float>(label_number(row.example.labels.front()));
        example.text = encode_row(row, tokenizer, options.context);
        return example;
    });
}

std::vector<LabelledExample> read_texts_apart(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                              const LabelledFileOptions& options, std::vector<std::string>& labels) {
    labels = default_labels(1);
    const auto number_of = [](const Row& row) {
        const std::vector<std::string>& label = row.example.labels;
        return label.empty() ? std::numeric_limits<double>::quiet_NaN() : label_number(label.front());
    };
    std::vector<Row> rows = read_all_rows(paths, options, RowLabels::Perhaps);
    if (options.least) std::erase_if(rows, [&](const Row& row) { return !(number_of(row) >= *options.least); });
    return examples_of<Row>(rows, "row", options, [&](const Row& row) {
        LabelledExample example;
        const auto count = std::ssize(row.example.texts);
        if (count < 2 || count > 3)
            fail("has %s; it takes two, and perhaps one that is unlike them", counted(count, "text").c_str());
        example.number = static_cast<float>(number_of(row));
        for (const std::string& text : row.example.texts) {
            MarkedText marked = tokenizer.encode_marked(text, {.special = false});
            shorten(marked, tokenizer, options.context / count);
            if (marked.ids.empty()) fail("a text has no tokens");
            example.parts.push_back(static_cast<int32_t>(marked.ids.size()));
            example.text.ids.insert(example.text.ids.end(), marked.ids.begin(), marked.ids.end());
            example.text.types.insert(example.text.types.end(), marked.types.begin(), marked.types.end());
        }
        return example;
    });
}

std::vector<LabelledExample> read_tagged(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                         const LabelledFileOptions& options, std::vector<std::string>& labels) {
    std::vector<Sentence> sentences;
    for (const std::string& path : paths) {
        TaggedFile file(path, options.skip_bad);
        for (TaggedSentence sentence; file.next(sentence);) sentences.push_back({sentence, file.where(sentence.number)});
        note_bad(file.bad(), "sentence", options);
    }
    if (sentences.empty()) fail("%s: has no sentences", printable(paths.front()).c_str());
    if (labels.empty()) {
        std::set<std::string> names;
        for (const Sentence& sentence : sentences) names.insert(sentence.words.tags.begin(), sentence.words.tags.end());
        labels = sorted_labels(names);
    }
    check_labels(labels, paths.front());
    const LabelNumbers numbers(labels);
    int64_t left_out = 0;
    std::vector<LabelledExample> examples =
        examples_of<Sentence>(sentences, "sentence", options, [&](const Sentence& sentence) {
            std::vector<int32_t> tags;
            for (const std::string& tag : sentence.words.tags) tags.push_back(numbers(tag));
            std::vector<size_t> places;
            LabelledExample example = encode_words(tokenizer, sentence.words.tokens, tags, options.context, &places);
            if (places.empty()) fail("not one word fits into %lld tokens", static_cast<long long>(options.context));
            left_out += std::ssize(tags) - std::ssize(places);
            return example;
        });
    if (left_out > 0 && options.note)
        options.note(strprintf("%s at the ends of sentences that do not fit into %lld tokens do not count",
                               counted(left_out, "word").c_str(), static_cast<long long>(options.context)));
    return examples;
}

}  // namespace nib

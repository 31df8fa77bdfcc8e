// Labelled examples in tables, by how the file's name ends, each also packed (.gz):
//     .csv           RFC 4180: commas, fields in quotes where they need it
//     .tsv           tabs; quotes are text
//     .jsonl, .json  objects, one a line or in a list; a text is a string, a label a string, a number, true or false, or a
//                    list of them, of which the example has all
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/record_reader.h"
#include "task/example_file.h"

namespace nib {

/// A column is named by what its header or JSON key is, or else by its number: 1 is the first, -1 the last.
struct TableOptions {
    std::vector<std::string> texts;  // columns, in this order; none: all but the label's (not of JSON)
    std::string label;               // a column; empty: examples have no labels
    std::optional<bool> header;      // whether the first line has names; not said: see has_header()
    bool skip_bad = false;           // pass over records that are wrong
    std::string separator{};         // between labels of a .csv's or .tsv's field; empty: it is one label
};

class TableFile : public ExampleFile {
public:
    /// Opens the file. Error when it cannot be read, its name ends otherwise, or a column is not there; that names those
    /// that are.
    TableFile(const std::string& path, const TableOptions& options);

    /// Error for a record that is not UTF-8, has not as many fields as the first, or lacks a column. Labels are without
    /// white space at their ends. Nothing else is checked: texts and labels may be empty.
    bool next(Example& example) override;

    /// The names of the columns, where the first line has them.
    std::vector<std::string> names() const { return named_ ? columns_ : std::vector<std::string>(); }

    std::string where(uint64_t number) const override { return reader_.where(number); }
    uint64_t bytes_read() const override { return reader_.bytes_read(); }

private:
    enum class Format { Csv, Tsv, Json };
    static Format format_of(const std::string& path);
    static RecordReader::Kind kind_of(const std::string& path, Format format);

    // A record and its fields.
    struct Row {
        std::vector<std::string> fields;
        uint64_t number = 0;
    };
    void read_head();
    bool read_first(Row& row);
    bool read_record(std::string& record);
    bool read_row(Row& row);
    Row parsed(const std::string& record) const;
    size_t column(const std::string& name) const;
    std::string known_columns() const;
    void take(const Row& row, Example& example) const;
    void take_json(const std::string& record, Example& example) const;
    bool next_row(Example& example);

    const TableOptions options_;
    const Format format_;
    RecordReader reader_;
    bool named_ = false;                // the file has a header
    std::vector<Row> ahead_;            // rows that were read to tell whether it has one, the next one last
    std::vector<std::string> columns_;  // the first line
    std::vector<size_t> texts_;         // of a row's fields
    std::optional<size_t> label_;
};

/// Whether the first of two lines of a table are names of columns: all of its fields look like names (a letter, then
/// letters, digits, "_" and "-"; no two alike), and either half of them or more are names that data sets use ("text",
/// "sentence1", "label", ...) or one is "label", or where the second line has a number, the first has none.
bool has_header(const std::vector<std::string>& first, const std::vector<std::string>& second);

}  // namespace nib

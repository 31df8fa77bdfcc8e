#include "task/table_file.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "io/csv.h"
#include "io/json_value.h"
#include "text/python_text.h"
#include "text/text_encoding.h"
#include "text/text_files.h"

namespace nib {
namespace {

std::vector<std::string> tsv_fields(const std::string& line) {
    std::vector<std::string> fields;
    for (size_t begin = 0;;) {
        const size_t tab = line.find('\t', begin);
        fields.push_back(line.substr(begin, tab - begin));
        if (tab == std::string::npos) return fields;
        begin = tab + 1;
    }
}

// The number that a text is, 0 if it is none.
int64_t column_number(const std::string& text) {
    int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && stop == end ? number : 0;
}

std::string in_quotes(const std::string& name) { return "\"" + printable(name, 40) + "\""; }

// A label as text: what JSON has as a string, a number, true or false.
std::string label_text(const JsonValue& value) {
    const nlohmann::json& raw = value.raw();
    if (raw.is_number() || raw.is_boolean()) return raw.dump();
    if (!raw.is_string()) value.wrong("a label: text or a number");
    return std::string(python_strip(value.text()));
}

}  // namespace

TableFile::Format TableFile::format_of(const std::string& path) {
    if (has_ending_or_gz(path, ".csv")) return Format::Csv;
    if (has_ending_or_gz(path, ".tsv")) return Format::Tsv;
    if (has_ending_or_gz(path, ".jsonl") || has_ending_or_gz(path, ".json")) return Format::Json;
    fail(
        "%s: its name does not say what kind of table it is; it must end with .csv, .tsv, .jsonl or .json, or one of these "
        "and .gz",
        printable(path).c_str());
}

RecordReader::Kind TableFile::kind_of(const std::string& path, Format format) {
    if (format == Format::Csv) return RecordReader::Kind::Csv;
    if (format == Format::Tsv) return RecordReader::Kind::AllLines;  // of tabs alone, it has empty fields
    return has_ending_or_gz(path, ".json") ? RecordReader::Kind::JsonItems : RecordReader::Kind::Lines;
}

TableFile::TableFile(const std::string& path, const TableOptions& options)
    : ExampleFile(options.skip_bad), options_(options), format_(format_of(path)), reader_(path, kind_of(path, format_)) {
    if (format_ == Format::Json) {
        if (options.texts.empty()) fail("%s: which of its columns are texts must be said", printable(path).c_str());
        return;
    }
    read_head();
}

// Finds out whether there is a header, and where the columns are.
void TableFile::read_head() {
    Row first, second;
    if (!read_first(first)) return;
    columns_ = first.fields;
    std::vector<std::string> named = options_.texts;
    if (!options_.label.empty()) named.push_back(options_.label);
    const auto by_name =
        std::find_if(named.begin(), named.end(), [](const std::string& name) { return column_number(name) == 0; });
    if (options_.header == false && by_name != named.end())
        fail("%s: column %s is no number, and the file is said to have no header", reader_.name().c_str(),
             in_quotes(*by_name).c_str());
    const bool has_second = read_row(second);
    named_ = options_.header.value_or(by_name != named.end() || has_header(first.fields, second.fields));
    if (has_second) ahead_.push_back(std::move(second));
    if (!named_) ahead_.push_back(std::move(first));
    if (!options_.label.empty()) label_ = column(options_.label);
    for (const std::string& name : options_.texts) texts_.push_back(column(name));
    if (!options_.texts.empty()) return;
    for (size_t i = 0; i < columns_.size(); ++i)
        if (label_ != i) texts_.push_back(i);
    if (texts_.empty()) fail("%s: its only column is that of the labels", reader_.name().c_str());
}

// Where the column is in a row.
size_t TableFile::column(const std::string& name) const {
    if (named_) {
        const auto found = std::find(columns_.begin(), columns_.end(), name);
        if (found != columns_.end() && std::find(found + 1, columns_.end(), name) != columns_.end())
            fail("%s: two columns are called %s; it must be said by number which", reader_.name().c_str(),
                 in_quotes(name).c_str());
        if (found != columns_.end()) return static_cast<size_t>(found - columns_.begin());
    }
    const auto count = static_cast<int64_t>(columns_.size());
    const int64_t number = column_number(name);
    if (number > 0 && number <= count) return static_cast<size_t>(number - 1);
    if (number < 0 && number >= -count) return static_cast<size_t>(count + number);
    fail("%s: there is no column %s; there are %s", reader_.name().c_str(), in_quotes(name).c_str(),
         known_columns().c_str());
}

std::string TableFile::known_columns() const {
    if (!named_) return columns_.size() == 1 ? "none but 1" : "1 to " + std::to_string(columns_.size());
    std::string names;
    for (size_t i = 0; i < columns_.size() && i < 20; ++i) names += (i == 0 ? "" : ", ") + in_quotes(columns_[i]);
    return names;
}

// The first line must be right if it may be the header.
bool TableFile::read_first(Row& row) {
    if (options_.header == false) return read_row(row);
    std::string record;
    if (!read_record(record)) return false;
    row = parsed(record);
    return true;
}

bool TableFile::read_record(std::string& record) {
    while (reader_.next(record))
        if (!record.empty()) return true;
    return false;
}

// The next row that is right, where those that are wrong may be passed over.
bool TableFile::read_row(Row& row) {
    for (std::string record; read_record(record);) {
        try {
            row = parsed(record);
            return true;
        } catch (const Error& error) {
            bad_.refuse(error);
        }
    }
    return false;
}

TableFile::Row TableFile::parsed(const std::string& record) const {
    check_text(record, reader_.where(), reader_.offset());
    Row row;
    row.number = reader_.number();
    try {
        row.fields = format_ == Format::Csv ? csv_fields(record) : tsv_fields(record);
    } catch (const Error& error) {
        throw error.within(reader_.where());
    }
    if (!columns_.empty() && row.fields.size() != columns_.size())
        fail("%s: %s where the first line has %zu", reader_.where().c_str(),
             counted(static_cast<int64_t>(row.fields.size()), "field").c_str(), columns_.size());
    return row;
}

bool TableFile::next_row(Example& example) {
    Row row;
    if (!ahead_.empty()) {
        row = std::move(ahead_.back());
        ahead_.pop_back();
    } else if (!read_row(row)) {
        return false;
    }
    take(row, example);
    return true;
}

bool TableFile::next(Example& example) {
    if (format_ != Format::Json) return next_row(example);
    std::string record;
    while (reader_.next(record)) {
        try {
            check_text(record, reader_.where(), reader_.offset());
            take_json(record, example);
            return true;
        } catch (const Error& error) {
            bad_.refuse(error);
        }
    }
    return false;
}

void TableFile::take(const Row& row, Example& example) const {
    example.number = row.number;
    example.texts.clear();
    example.labels.clear();
    for (const size_t i : texts_) example.texts.push_back(row.fields[i]);
    if (!label_) return;
    const std::string& field = row.fields[*label_];
    for (size_t begin = 0;;) {
        const size_t end = options_.separator.empty() ? field.npos : field.find(options_.separator, begin);
        example.labels.emplace_back(python_strip(std::string_view(field).substr(begin, end - begin)));
        if (end == field.npos) break;
        begin = end + options_.separator.size();
    }
}

void TableFile::take_json(const std::string& record, Example& example) const {
    const nlohmann::json root = parse_json(record, reader_.where());
    const JsonValue object(root, reader_.where() + ":");
    const auto get = [&](const std::string& key) {
        if (auto found = object.find(key.c_str())) return *found;
        std::string names;
        for (const auto& [name, value] : root.items())
            if (!value.is_null() && names.size() < 400) names += (names.empty() ? "" : ", ") + in_quotes(name);
        fail("%s: there is no column %s; there are %s", reader_.where().c_str(), in_quotes(key).c_str(),
             names.empty() ? "none" : names.c_str());
    };
    example.number = reader_.number();
    example.texts.clear();
    example.labels.clear();
    for (const std::string& key : options_.texts) example.texts.push_back(get(key).text());
    if (options_.label.empty()) return;
    const JsonValue label = get(options_.label);
    if (!label.raw().is_array()) {
        example.labels.push_back(label_text(label));
        return;
    }
    for (size_t i = 0; i < label.items(); ++i) example.labels.push_back(label_text(label.at(i)));
}

}  // namespace nib

#include "task/labelled_file.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>

#include "core/error.h"

namespace nib {
namespace {

struct Row {
    std::string text, second, label;
    std::string where;  // for messages
};

bool as_number(const std::string& text, int64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

// Numbers in their order, else by their bytes.
std::vector<std::string> sorted_labels(const std::vector<Row>& rows) {
    std::set<std::string> names;
    for (const Row& row : rows) names.insert(row.label);
    std::vector<std::string> labels(names.begin(), names.end());
    int64_t number = 0;
    if (std::all_of(labels.begin(), labels.end(), [&](const std::string& label) { return as_number(label, number); }))
        std::stable_sort(labels.begin(), labels.end(), [](const std::string& a, const std::string& b) {
            int64_t of_a = 0, of_b = 0;
            return as_number(a, of_a) && as_number(b, of_b) && of_a < of_b;
        });
    return labels;
}

std::vector<Row> read_rows(const std::string& path, const LabelledFileOptions&) {
    std::vector<Row> rows;
    std::ifstream in(path);
    std::string line;
    for (int n = 1; std::getline(in, line); ++n) {
        const size_t tab = line.rfind('\t');
        rows.push_back({line.substr(0, tab), "", line.substr(tab + 1), path + ":" + std::to_string(n)});
    }
    return rows;
}

}  // namespace

std::vector<LabelledExample> read_labelled(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                           const LabelledFileOptions& options, std::vector<std::string>& labels) {
    std::vector<Row> rows;
    for (const std::string& path : paths)
        for (Row& row : read_rows(path, options)) rows.push_back(std::move(row));
    if (labels.empty()) labels = sorted_labels(rows);
    if (labels.size() < 2)
        fail("all texts have the label `%s`; there is nothing to tell apart",
             labels.empty() ? "" : printable(labels[0], 40).c_str());
    std::vector<LabelledExample> examples;
    for (const Row& row : rows) {
        const auto label = std::find(labels.begin(), labels.end(), row.label);
        if (label == labels.end())
            fail("%s: the label `%s` is none of the training", row.where.c_str(), printable(row.label, 40).c_str());
        LabelledExample example;
        example.text =
            row.second.empty() ? tokenizer.encode_marked(row.text) : tokenizer.encode_marked(row.text, row.second);
        shorten(example.text, tokenizer, options.context);
        example.label = static_cast<int32_t>(label - labels.begin());
        examples.push_back(std::move(example));
    }
    return examples;
}

}  // namespace nib

#include "task/pair_reader.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "task/parallel_files.h"
#include "task/table_file.h"
#include "text/text_files.h"

namespace nib {
namespace {

constexpr std::string_view kTableEndings[] = {".tsv",    ".csv",    ".jsonl",    ".json",
                                              ".tsv.gz", ".csv.gz", ".jsonl.gz", ".json.gz"};
constexpr const char* kSides[] = {"source", "target"};

TableOptions table_options(const std::string& path, const PairFiles& files) {
    const LabelColumns& columns = files.columns;
    TableOptions table;
    table.skip_bad = files.skip_bad;
    if (columns.header || columns.no_header) table.header = columns.header;
    if (!columns.text.empty()) table.texts = {columns.text, columns.second};
    const bool json = has_ending_or_gz(path, ".json") || has_ending_or_gz(path, ".jsonl");
    if (json && table.texts.empty()) table.texts = {kSides[0], kSides[1]};
    return table;
}

bool is_blank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

}  // namespace

PairReader::PairReader(PairFiles files) : what_(std::move(files)) {
    const LabelColumns& columns = what_.columns;
    if (columns.text.empty() != columns.second.empty())
        fail_usage_option(columns.text.empty() ? "second-column" : "text-column",
                          "is one of two: pairs have a column of sources and one of targets");
    if (!columns.text.empty() && columns.text == columns.second)
        fail_usage_option("text-column", "is named for two things");
    if (!what_.second.empty()) {
        if (!(columns == LabelColumns{})) fail_usage("two parallel files have lines, not columns");
        if (what_.first.size() != 1) fail("%zu files have no target each: one file goes with one", what_.first.size());
        all_ = {what_.first.front(), what_.second};
    } else {
        for (const std::string& path : what_.first)
            for (std::string& file : files_at(path, kTableEndings)) all_.push_back(std::move(file));
    }
    for (const std::string& path : all_) {
        std::error_code error;
        if (const auto size = std::filesystem::file_size(path, error); !error) total_bytes_ += size;
    }
}

bool PairReader::open_next() {
    if (opened_ == all_.size()) return false;
    if (!what_.second.empty()) {
        file_ = std::make_unique<ParallelFiles>(all_[0], all_[1], what_.skip_bad);
        opened_ = all_.size();
        return true;
    }
    const std::string& path = all_[opened_++];
    file_ = std::make_unique<TableFile>(path, table_options(path, what_));
    return true;
}

void PairReader::close() {
    bytes_done_ += file_->bytes_read();
    passed_over_ += file_->bad().count();
    if (reasons_.empty()) reasons_ = file_->bad().reasons();
    file_.reset();
}

bool PairReader::next(Example& pair) {
    while (file_ || open_next()) {
        while (file_->next(pair)) try {
                const std::vector<std::string>& texts = pair.texts;
                if (texts.size() != 2)
                    fail("has %s, not a source and a target; say which of them these are",
                         counted(std::ssize(texts), "column").c_str());
                const bool no_source = is_blank(texts[0]), no_target = is_blank(texts[1]);
                if (no_source && no_target) continue;
                if (no_source || no_target) fail("the %s is empty", kSides[no_source ? 0 : 1]);
                return true;
            } catch (const Error& error) {
                file_->refuse(pair, error);
            }
        close();
    }
    return false;
}

PairDocuments::PairDocuments(const std::vector<PairFiles>& all) {
    for (const PairFiles& files : all) readers_.push_back(std::make_unique<PairReader>(files));
}

bool PairDocuments::next(TextPiece& piece) {
    while (text_ == pair_.texts.size()) {
        if (reader_ == readers_.size()) return false;
        text_ = 0;
        if (readers_[reader_]->next(pair_)) break;
        pair_.texts.clear();
        ++reader_;
    }
    piece = {};
    piece.text = pair_.texts[text_++];
    return true;
}

uint64_t PairDocuments::total_bytes() const {
    uint64_t bytes = 0;
    for (const auto& reader : readers_) bytes += reader->total_bytes();
    return bytes;
}

uint64_t PairDocuments::bytes_read() const {
    uint64_t bytes = 0;
    for (const auto& reader : readers_) bytes += reader->bytes_read();
    return bytes;
}

std::string PairDocuments::description() const { return printable(readers_.front()->files().front()); }

}  // namespace nib

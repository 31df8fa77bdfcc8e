// Pairs of texts, such as sentences and their translations, from files of any number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "task/example_file.h"
#include "task/labelled_file.h"
#include "text/text_source.h"

namespace nib {

struct PairFiles {
    std::vector<std::string> first;  // tables (task/table_file.h) and folders of them; with `second` one file of lines
    std::string second{};            // whose lines belong to those of that file; empty: there are tables
    LabelColumns columns{};          // of tables: text and second, both or neither; in JSON they are `source` and `target`
    bool skip_bad = false;           // pass over pairs that are not as they should be
};

class PairReader {
public:
    /// Error when there is no such file, and for options that contradict each other. None is opened yet.
    explicit PairReader(PairFiles files);

    /// Takes the next pair, two texts; false at the end. Pairs without any text are left out. Error, naming file and line,
    /// as of TableFile and ParallelFiles, for other numbers of texts, and when one of them is empty; where pairs may be
    /// passed over, it is counted.
    bool next(Example& pair);
    /// Error about the pair that was taken last, for a reason that others have; or it is counted as well.
    void refuse(const Example& pair, const Error& reason) { file_->refuse(pair, reason); }

    /// All files, in order.
    const std::vector<std::string>& files() const { return all_; }
    uint64_t total_bytes() const { return total_bytes_; }
    uint64_t bytes_read() const { return bytes_done_ + (file_ ? file_->bytes_read() : 0); }
    /// How many pairs were passed over, and what was wrong with the first few.
    uint64_t passed_over() const { return passed_over_; }
    const std::vector<std::string>& reasons() const { return reasons_; }

private:
    bool open_next();
    void close();

    const PairFiles what_;
    std::vector<std::string> all_;
    size_t opened_ = 0;
    std::unique_ptr<ExampleFile> file_;
    uint64_t total_bytes_ = 0, bytes_done_ = 0, passed_over_ = 0;
    std::vector<std::string> reasons_;
};

/// Each text of pairs as a document: what a tokenizer of both is learned from. Pairs that may be passed over are.
class PairDocuments : public DocumentSource {
public:
    explicit PairDocuments(const std::vector<PairFiles>& all);

    bool next(TextPiece& piece) override;
    uint64_t total_bytes() const override;
    uint64_t bytes_read() const override;
    std::string description() const override;

private:
    std::vector<std::unique_ptr<PairReader>> readers_;
    size_t reader_ = 0, text_ = 0;  // the next text of the pair
    Example pair_;
};

}  // namespace nib

// Sentences whose words are tagged, as CoNLL's shared tasks have them: a word a line, with its tag in the last column; a
// blank line ends a sentence. Columns are separated by tabs, or by spaces where a line has no tab. Lines "-DOCSTART-", and
// between sentences those that begin with "# ", are passed over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/record_reader.h"
#include "task/bad_records.h"

namespace nib {

struct TaggedSentence {
    std::vector<std::string> tokens, tags;  // UTF-8, as many of one as of the other, none empty
    uint64_t number = 0;                    // the line of the first token
};

class TaggedFile {
public:
    /// Opens the file, which may be packed (.gz). Error when it cannot be read.
    explicit TaggedFile(const std::string& path, bool skip_bad = false);

    /// Takes the next sentence; false at the end. Error, naming file and line, for a line that is not UTF-8, has one column
    /// only, not as many as the first, or an empty token or tag; where records may be passed over, the whole sentence is.
    bool next(TaggedSentence& sentence);

    std::string where(uint64_t number) const { return reader_.where(number); }
    uint64_t bytes_read() const { return reader_.bytes_read(); }
    const BadRecords& bad() const { return bad_; }

private:
    bool read_sentence(TaggedSentence& sentence);
    void add_line(const std::string& line, TaggedSentence& sentence);
    bool is_comment(const std::string& line) const;

    RecordReader reader_;
    BadRecords bad_;
    size_t columns_ = 0;
};

}  // namespace nib

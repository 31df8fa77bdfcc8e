// Two text files of which line i of one belongs to line i of the other, such as sentences and their translations.
#pragma once

#include <string>

#include "io/record_reader.h"
#include "task/example_file.h"

namespace nib {

class ParallelFiles : public ExampleFile {
public:
    /// Opens both, which may be packed (.gz). Error when one cannot be read.
    ParallelFiles(const std::string& first, const std::string& second, bool skip_bad = false);

    /// A pair of lines as two texts, either of which may be empty; no label. Error at the end when the files have not as
    /// many lines, which says how many each has.
    bool next(Example& example) override;

    std::string where(uint64_t number) const override { return first_.where(number); }
    uint64_t bytes_read() const override { return first_.bytes_read() + second_.bytes_read(); }

private:
    RecordReader first_, second_;
};

}  // namespace nib

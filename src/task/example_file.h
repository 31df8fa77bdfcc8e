// Files of labelled examples, read from front to back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "task/bad_records.h"

namespace nib {

struct Example {
    std::vector<std::string> texts;   // UTF-8; one, or several that belong together
    std::vector<std::string> labels;  // none, one, or what a list has
    uint64_t number = 0;              // where it is: a line, or an element of a list
};

class ExampleFile {
public:
    virtual ~ExampleFile() = default;

    /// Takes the next example; false at the end. Error, naming file and line, for a record that is wrong; where records may
    /// be passed over, it is counted.
    virtual bool next(Example& example) = 0;

    /// Where an example is: "films.tsv: line 12".
    virtual std::string where(uint64_t number) const = 0;
    /// How much of the file, as it is stored, has been read.
    virtual uint64_t bytes_read() const = 0;

    /// Error about an example that was taken, for a reason that others have; or it is counted as well.
    void refuse(const Example& example, const Error& reason) { bad_.refuse(reason.within(where(example.number))); }
    const BadRecords& bad() const { return bad_; }

protected:
    explicit ExampleFile(bool skip_bad) : bad_(skip_bad) {}

    BadRecords bad_;
};

/// A label as a number. Error when it is none, or not finite.
double label_number(const std::string& label);

}  // namespace nib

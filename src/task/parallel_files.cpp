#include "task/parallel_files.h"

#include "text/text_encoding.h"

namespace nib {
namespace {

uint64_t count_to_end(RecordReader& reader) {
    std::string line;
    while (reader.next(line)) {
    }
    return reader.number();
}

}  // namespace

ParallelFiles::ParallelFiles(const std::string& first, const std::string& second, bool skip_bad)
    : ExampleFile(skip_bad), first_(first, RecordReader::Kind::AllLines), second_(second, RecordReader::Kind::AllLines) {}

bool ParallelFiles::next(Example& example) {
    example.labels.clear();
    example.texts.resize(2);
    while (true) {
        const bool has_first = first_.next(example.texts[0]), has_second = second_.next(example.texts[1]);
        if (has_first != has_second) {
            const uint64_t firsts = count_to_end(first_), seconds = count_to_end(second_);
            fail("%s has %s, but %s has %s: their lines do not belong together", first_.name().c_str(),
                 counted(static_cast<int64_t>(firsts), "line").c_str(), second_.name().c_str(),
                 counted(static_cast<int64_t>(seconds), "line").c_str());
        }
        if (!has_first) return false;
        example.number = first_.number();
        try {
            check_text(example.texts[0], first_.where(), first_.offset());
            check_text(example.texts[1], second_.where(), second_.offset());
            return true;
        } catch (const Error& error) {
            bad_.refuse(error);
        }
    }
}

}  // namespace nib

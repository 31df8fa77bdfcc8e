// The records of a text file, however large: its lines, or the elements of the JSON list that it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "io/input_file.h"

namespace nib {

class RecordReader {
public:
    /// No record may have more bytes.
    static constexpr size_t kLongest = size_t{256} << 20;

    enum class Kind {
        Lines,      // those that are not blank, without their line ends
        JsonItems,  // elements of a list as they are spelled; of a file that does not begin with "[" its lines
    };

    /// Opens the file, which may be packed with gzip; a byte order mark is not part of it. Error when it cannot be read.
    RecordReader(const std::string& path, Kind kind);

    /// Takes the next record; false at the end. Error for one that is too long and a list that is cut short or goes on
    /// after its end.
    bool next(std::string& record);

    /// Where the last one is: "chats.jsonl: line 12", "chats.json: record 3".
    std::string where() const;
    /// The byte offset in the unpacked file at which it begins.
    uint64_t offset() const { return record_offset_; }
    /// How much of the file as it is stored has been read.
    uint64_t bytes_read() const { return file_.bytes_read(); }

private:
    static constexpr int kEnd = -1;
    int peek();
    int take();
    void skip_space();
    void append(std::string& record);
    bool next_line(std::string& line);
    bool next_item(std::string& item);
    void read_item(std::string& item);

    InputFile file_;
    bool items_;
    bool ended_ = false;  // the list has
    uint64_t number_ = 0, offset_ = 0, record_offset_ = 0;
    std::vector<char> buffer_;
    size_t begin_ = 0, end_ = 0;  // of what is in it
};

}  // namespace nib

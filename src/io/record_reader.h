// The records of a text file, however large: its lines, those of CSV, or the elements of a JSON list that it is or has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/input_file.h"

namespace nib {

class RecordReader {
public:
    /// No record may have more bytes.
    static constexpr size_t kLongest = size_t{256} << 20;

    enum class Kind {
        Lines,      // those that are not blank, without their line ends
        AllLines,   // also those that are
        Csv,        // RFC 4180: like Lines, but a line goes on where it ends within quotes; see io/csv.h
        JsonItems,  // elements of a list as they are spelled; of a file that does not begin with "[" its lines
    };

    /// Opens the file, which may be packed with gzip; a byte order mark is not part of it. Error when it cannot be read.
    RecordReader(const std::string& path, Kind kind);
    /// The elements of the list that the JSON object in the file has as `member`. Error when it has none.
    RecordReader(const std::string& path, std::string_view member);

    /// Takes the next record; false at the end. Error for one that is too long, a quote of CSV that never closes, and a
    /// list that is cut short or goes on after its end.
    bool next(std::string& record);

    /// The file, for messages.
    std::string name() const;
    /// The number of the last one, from 1: of its first line, or among the elements.
    uint64_t number() const { return number_; }
    /// Where it, or another one, is: "chats.jsonl: line 12", "chats.json: record 3".
    std::string where() const { return where(number_); }
    std::string where(uint64_t number) const;
    /// The byte offset in the unpacked file at which it begins.
    uint64_t offset() const { return record_offset_; }
    /// How much of the file as it is stored has been read.
    uint64_t bytes_read() const { return file_.bytes_read(); }

private:
    static constexpr int kEnd = -1;
    explicit RecordReader(const std::string& path);
    int peek();
    int take();
    void skip_space();
    void expect(char byte);
    void append(std::string& record);
    bool next_line(std::string& line);
    void read_line(std::string& line);
    void read_csv_line(std::string& line);
    bool next_item(std::string& item);
    void read_item(std::string& item, char close);
    void end_list();
    bool find_member(std::string_view member);

    InputFile file_;
    Kind kind_ = Kind::Lines;
    bool in_object_ = false;  // the list is a member of one
    bool ended_ = false;      // the list has
    uint64_t number_ = 0, lines_ = 0, offset_ = 0, record_offset_ = 0;
    std::vector<char> buffer_;
    size_t begin_ = 0, end_ = 0;  // of what is in it
};

}  // namespace nib

#include "io/record_reader.h"

#include "core/error.h"

namespace nib {
namespace {

constexpr size_t kBuffer = size_t{64} << 10;

bool is_space(int byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

}  // namespace

RecordReader::RecordReader(const std::string& path, Kind kind) : file_(path), buffer_(kBuffer) {
    end_ = file_.read(buffer_.data(), buffer_.size());
    if (std::string_view(buffer_.data(), end_).starts_with("\xEF\xBB\xBF")) begin_ = offset_ = 3;
    items_ = false;
    if (kind == Kind::Lines) return;
    size_t first = begin_;
    while (first < end_ && is_space(buffer_[first])) ++first;
    if (first == end_ || buffer_[first] != '[') return;
    items_ = true;
    skip_space();
    take();
}

int RecordReader::peek() {
    if (begin_ == end_) {
        begin_ = 0;
        end_ = file_.read(buffer_.data(), buffer_.size());
    }
    return begin_ == end_ ? kEnd : static_cast<unsigned char>(buffer_[begin_]);
}

int RecordReader::take() {
    const int byte = peek();
    if (byte != kEnd) {
        ++begin_;
        ++offset_;
    }
    return byte;
}

void RecordReader::skip_space() {
    while (is_space(peek())) take();
}

std::string RecordReader::where() const {
    return printable(file_.path()) +
           strprintf(": %s %llu", items_ ? "record" : "line", static_cast<unsigned long long>(number_));
}

// The byte that comes next.
void RecordReader::append(std::string& record) {
    if (record.size() == kLongest)
        fail("%s is longer than %s", where().c_str(), human_bytes(static_cast<double>(kLongest)).c_str());
    record += static_cast<char>(take());
}

bool RecordReader::next(std::string& record) { return items_ ? next_item(record) : next_line(record); }

bool RecordReader::next_line(std::string& line) {
    while (peek() != kEnd) {
        line.clear();
        ++number_;
        record_offset_ = offset_;
        while (peek() != kEnd && peek() != '\n') append(line);
        take();
        if (line.ends_with('\r')) line.pop_back();
        if (line.find_first_not_of(" \t\r") != std::string::npos) return true;
    }
    return false;
}

// After the "[", or after an element.
bool RecordReader::next_item(std::string& item) {
    if (ended_) return false;
    skip_space();
    const bool empty = number_ == 0 && peek() == ']';
    if (!empty) {
        ++number_;
        record_offset_ = offset_;
        read_item(item);
    }
    ended_ = take() == ']';
    if (!ended_) return true;
    skip_space();
    if (peek() != kEnd)
        fail("%s: there is more after the end of the list, at byte offset %llu", printable(file_.path()).c_str(),
             static_cast<unsigned long long>(offset_));
    return !empty;
}

// Up to a comma, or the end of the list.
void RecordReader::read_item(std::string& item) {
    item.clear();
    bool in_string = false;
    for (int64_t depth = 0;;) {
        const int byte = peek();
        if (byte == kEnd) fail("%s: the list is cut short there", where().c_str());
        if (in_string) {
            append(item);
            if (byte == '\\' && peek() != kEnd) append(item);
            in_string = byte != '"';
            continue;
        }
        if (depth == 0 && (byte == ',' || byte == ']')) return;
        in_string = byte == '"';
        depth += byte == '[' || byte == '{';
        depth -= byte == ']' || byte == '}';
        append(item);
    }
}

}  // namespace nib

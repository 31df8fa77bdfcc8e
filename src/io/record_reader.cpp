#include "io/record_reader.h"

#include "core/error.h"

namespace nib {
namespace {

constexpr size_t kBuffer = size_t{64} << 10;

bool is_space(int byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

}  // namespace

RecordReader::RecordReader(const std::string& path) : file_(path), buffer_(kBuffer) {
    end_ = file_.read(buffer_.data(), buffer_.size());
    if (std::string_view(buffer_.data(), end_).starts_with("\xEF\xBB\xBF")) begin_ = offset_ = 3;
}

RecordReader::RecordReader(const std::string& path, Kind kind) : RecordReader(path) {
    kind_ = kind;
    if (kind != Kind::JsonItems) return;
    size_t first = begin_;
    while (first < end_ && is_space(buffer_[first])) ++first;
    if (first == end_ || buffer_[first] != '[') {
        kind_ = Kind::Lines;
        return;
    }
    skip_space();
    take();
}

RecordReader::RecordReader(const std::string& path, std::string_view member) : RecordReader(path) {
    kind_ = Kind::JsonItems;
    in_object_ = true;
    expect('{');
    if (!find_member(member)) fail("%s: has no list \"%s\"", printable(path).c_str(), std::string(member).c_str());
    expect('[');
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
        lines_ += byte == '\n';
    }
    return byte;
}

void RecordReader::skip_space() {
    while (is_space(peek())) take();
}

// What must come next, after white space.
void RecordReader::expect(char byte) {
    skip_space();
    if (peek() != byte)
        fail("%s: there is no %c at byte offset %llu", name().c_str(), byte, static_cast<unsigned long long>(offset_));
    take();
}

std::string RecordReader::name() const { return printable(file_.path()); }

std::string RecordReader::where(uint64_t number) const {
    return name() +
           strprintf(": %s %llu", kind_ == Kind::JsonItems ? "record" : "line", static_cast<unsigned long long>(number));
}

// The byte that comes next.
void RecordReader::append(std::string& record) {
    if (record.size() == kLongest)
        fail("%s is longer than %s", where().c_str(), human_bytes(static_cast<double>(kLongest)).c_str());
    record += static_cast<char>(take());
}

bool RecordReader::next(std::string& record) { return kind_ == Kind::JsonItems ? next_item(record) : next_line(record); }

bool RecordReader::next_line(std::string& line) {
    while (peek() != kEnd) {
        line.clear();
        number_ = lines_ + 1;
        record_offset_ = offset_;
        if (kind_ == Kind::Csv)
            read_csv_line(line);
        else
            read_line(line);
        take();
        if (line.ends_with('\r')) line.pop_back();
        if (kind_ == Kind::AllLines || line.find_first_not_of(" \t\r") != std::string::npos) return true;
    }
    return false;
}

// Up to the line feed.
void RecordReader::read_line(std::string& line) {
    while (peek() != kEnd && peek() != '\n') append(line);
}

// The same, but for line feeds within quotes. A field is quoted if it begins with a quote; two quotes within it are one.
void RecordReader::read_csv_line(std::string& line) {
    bool begins = true, is_quoted = false, within = false;
    uint64_t opened = 0;  // the line in which a quote did
    while (peek() != kEnd && (within || peek() != '\n')) {
        const int byte = peek();
        if (byte == '"' && (begins || is_quoted)) {
            is_quoted = true;
            within = !within;
            if (within) opened = lines_ + 1;
            begins = false;
        } else if (!within) {
            begins = byte == ',';
            is_quoted = is_quoted && !begins;
        }
        append(line);
    }
    if (within) fail("%s: a quote opens there and never closes", where(opened).c_str());
}

// After the "[", or after an element.
bool RecordReader::next_item(std::string& item) {
    if (ended_) return false;
    skip_space();
    const bool empty = number_ == 0 && peek() == ']';
    if (!empty) {
        ++number_;
        record_offset_ = offset_;
        read_item(item, ']');
    }
    ended_ = take() == ']';
    if (ended_) end_list();
    return !ended_ || !empty;
}

// What comes after the list, of which nothing is wanted.
void RecordReader::end_list() {
    if (in_object_) {
        skip_space();
        if (peek() == ',') {
            take();
            find_member({});
        } else {
            expect('}');
        }
    }
    skip_space();
    if (peek() != kEnd)
        fail("%s: there is more after the end of the list, at byte offset %llu", name().c_str(),
             static_cast<unsigned long long>(offset_));
}

// Goes to the value of a member of the object, of which the first or next member's name comes next, or behind its end if
// there is none. Names are compared as they are spelled.
bool RecordReader::find_member(std::string_view member) {
    std::string name, passed_over;
    skip_space();
    if (peek() == '}') {
        take();
        return false;
    }
    while (true) {
        expect('"');
        name.clear();
        while (peek() != '"' && peek() != kEnd) {
            if (peek() == '\\') append(name);
            if (peek() != kEnd) append(name);
        }
        expect('"');
        expect(':');
        skip_space();
        if (!member.empty() && name == member) return true;
        read_item(passed_over, '}');
        if (take() == '}') return false;
    }
}

// A value, up to a comma or to what closes the list or object that it is in.
void RecordReader::read_item(std::string& item, char close) {
    item.clear();
    bool in_string = false;
    for (int64_t depth = 0;;) {
        const int byte = peek();
        if (byte == kEnd && close == '}') fail("%s: the object is cut short", name().c_str());
        if (byte == kEnd) fail("%s: the list is cut short there", where().c_str());
        if (in_string) {
            append(item);
            if (byte == '\\' && peek() != kEnd) append(item);
            in_string = byte != '"';
            continue;
        }
        if (depth == 0 && (byte == ',' || byte == close)) return;
        in_string = byte == '"';
        depth += byte == '[' || byte == '{';
        depth -= byte == ']' || byte == '}';
        append(item);
    }
}

}  // namespace nib

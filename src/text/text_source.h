// The documents of a corpus, one after the other, however large: files are read once, from front to back, in pieces.
//
// A document is a file, or of .jsonl files (JSON Lines) the string `text` of each line's object. Files may be packed with
// gzip. All text is checked to be UTF-8; a byte order mark at the beginning of a file is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/input_file.h"
#include "text/regex.h"

namespace nib {

/// How names of a corpus's files end.
inline constexpr std::string_view kCorpusEndings[] = {".txt", ".md", ".jsonl", ".txt.gz", ".md.gz", ".jsonl.gz"};

struct TextPiece {
    std::string text;             // UTF-8
    bool ends_document = true;    // else the next piece goes on with it
    bool begins_document = true;  // else it goes on with the piece before
    std::string where;            // the file and, of a record, its line, for messages
    uint64_t offset = 0;          // bytes of the file's or record's text before this piece
};

/// Documents from front to back, in pieces.
class DocumentSource {
public:
    virtual ~DocumentSource() = default;
    /// Takes the next piece of text; false at the end.
    virtual bool next(TextPiece& piece) = 0;
    /// The size of all of it as it is stored, and how much of that has been read.
    virtual uint64_t total_bytes() const = 0;
    virtual uint64_t bytes_read() const = 0;
    /// What it is of, for messages.
    virtual std::string description() const = 0;
};

class TextSource : public DocumentSource {
public:
    /// Pieces are about this long, in bytes; documents of .jsonl are never cut.
    static constexpr size_t kPiece = size_t{256} << 10;
    /// A piece may have as many bytes as this where there is no place to cut it; then it is cut inside a word. A line of a
    /// .jsonl file must not have more.
    static constexpr size_t kLongest = size_t{256} << 20;

    /// Files, those whose names end in .jsonl or .jsonl.gz taken as such, and folders, of which files are read whose names
    /// end in one of kCorpusEndings. Error when one is missing; none is opened yet.
    explicit TextSource(const std::vector<std::string>& paths);

    /// Takes the next piece of text; false at the end. A long document is cut after letters that white space or punctuation
    /// follows, since no word of a text reaches across that: what words the pieces have does not depend on where they were
    /// cut. Error, which names the file and the byte offset or the line, for a file that cannot be read, text that is not
    /// UTF-8, and a line that is not what it must be.
    bool next(TextPiece& piece) override;

    /// The size of all files together (of pipes 0).
    uint64_t total_bytes() const override { return total_bytes_; }
    uint64_t bytes_read() const override { return bytes_done_ + (file_ ? file_->bytes_read() : 0); }

    /// The files, in order.
    const std::vector<std::string>& files() const { return paths_; }
    /// Whether a file is JSON Lines, by its name, and whether some of these are.
    static bool is_records(const std::string& path);
    bool has_records() const;
    /// The first that is packed; "": none. Reads the beginning of each.
    std::string find_packed() const;
    /// Their names for messages: the first, and whether there are others.
    std::string description() const override;

private:
    bool open_next();
    void close();
    void read_more(size_t size);
    void check_text();
    size_t find_cut() const;
    size_t last_letter_end(size_t from) const;
    size_t last_character() const;
    bool next_text(TextPiece& piece);
    bool next_record(TextPiece& piece);
    size_t line_end();
    void drop(size_t size);

    std::vector<std::string> paths_;
    size_t opened_ = 0;
    uint64_t total_bytes_ = 0, bytes_done_ = 0;
    Regex letter_end_;

    // Of the file that is being read:
    std::unique_ptr<InputFile> file_;
    bool records_ = false;  // it is JSON Lines
    bool ended_ = false;    // all of it has been read into the buffer
    bool begun_ = false;    // a piece of it has been given
    bool has_nul_ = false;
    std::string buffer_;
    size_t begin_ = 0;      // of what has not been given yet
    size_t checked_ = 0;    // as far as this the buffer is UTF-8
    uint64_t dropped_ = 0;  // bytes of the unpacked file before the buffer
    uint64_t given_ = 0;    // bytes of text in the pieces of it so far
    uint64_t line_ = 0;
};

}  // namespace nib

#include "text/text_source.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "io/json_value.h"
#include "text/text_encoding.h"
#include "text/text_files.h"
#include "text/utf8.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRead = size_t{256} << 10;

// Bytes at the end of a text that begin a character of which more is to come.
size_t open_character(std::string_view text) {
    for (size_t size = 1; size <= std::min<size_t>(text.size(), 3); ++size) {
        const auto byte = static_cast<unsigned char>(text[text.size() - size]);
        if (byte < 0x80) return 0;
        if (byte >= 0xC0) return size < (byte >= 0xF0 ? 4U : byte >= 0xE0 ? 3U : 2U) ? size : 0;
    }
    return 0;
}

std::string text_of_record(std::string_view line, const std::string& where) {
    const nlohmann::json root = parse_json(line, where);
    return JsonValue(root, where + ":").get("text").text();
}

}  // namespace

TextSource::TextSource(const std::vector<std::string>& paths) : letter_end_(R"(\p{L}(?=[\s\p{P}]))") {
    if (paths.empty()) fail("no text was given: name a text file or a folder of them");
    for (const std::string& path : paths)
        for (std::string& file : files_at(path, kCorpusEndings)) {
            std::error_code error;
            const auto size = fs::is_regular_file(file, error) ? fs::file_size(file, error) : 0;
            if (!error) total_bytes_ += size;
            paths_.push_back(std::move(file));
        }
}

bool TextSource::is_records(const std::string& path) { return has_ending_or_gz(path, ".jsonl"); }

bool TextSource::has_records() const { return std::any_of(paths_.begin(), paths_.end(), is_records); }

std::string TextSource::find_packed() const {
    const auto found =
        std::find_if(paths_.begin(), paths_.end(), [](const std::string& path) { return InputFile(path).is_packed(); });
    return found == paths_.end() ? "" : *found;
}

std::string TextSource::description() const {
    return printable(paths_.front()) + (paths_.size() > 1 ? " and the others" : "");
}

bool TextSource::next(TextPiece& piece) {
    while (file_ || open_next()) {
        if (records_ ? next_record(piece) : next_text(piece)) return true;
        close();
    }
    return false;
}

bool TextSource::open_next() {
    if (opened_ == paths_.size()) return false;
    const std::string& path = paths_[opened_++];
    file_ = std::make_unique<InputFile>(path);
    records_ = is_records(path);
    ended_ = begun_ = has_nul_ = false;
    buffer_.clear();
    begin_ = checked_ = dropped_ = given_ = line_ = 0;
    read_more(kRead);
    begin_ = buffer_.size() - without_mark(buffer_, path).size();
    return true;
}

void TextSource::close() {
    bytes_done_ += file_->bytes_read();
    file_.reset();
}

void TextSource::read_more(size_t size) {
    const size_t before = buffer_.size();
    buffer_.resize(before + size);
    const size_t count = file_->read(buffer_.data() + before, size);
    buffer_.resize(before + count);
    ended_ = count < size;
    check_text();
}

// Goes on with checking that the buffer is UTF-8. A character whose end is still to be read waits.
void TextSource::check_text() {
    std::string_view text(buffer_);
    if (!ended_) text.remove_suffix(open_character(text));
    const std::string_view fresh = text.substr(checked_);
    const size_t nul = has_nul_ ? std::string_view::npos : fresh.find('\0');
    const size_t invalid = find_invalid(fresh);
    if (nul < invalid) {
        has_nul_ = true;
        refuse_appended(buffer_, checked_ + nul, file_->path(), dropped_);
    }
    if (invalid != std::string_view::npos) refuse_malformed(buffer_, checked_ + invalid, file_->path(), dropped_);
    checked_ = text.size();
}

// Forgets the first bytes of what has not been given yet, and makes room now and then.
void TextSource::drop(size_t size) {
    begin_ += size;
    if (begin_ < kRead || begin_ < buffer_.size() / 2) return;
    buffer_.erase(0, begin_);
    checked_ -= begin_;
    dropped_ += begin_;
    begin_ = 0;
}

bool TextSource::next_text(TextPiece& piece) {
    size_t cut = 0;
    while (true) {
        const size_t left = checked_ - begin_;
        if (left > kPiece) cut = find_cut();
        if (cut > 0 || ended_ || left >= kLongest) break;
        read_more(left > kPiece ? left : kRead);
    }
    if (cut == 0) cut = (ended_ ? checked_ : last_character()) - begin_;
    if (cut == 0 && begun_) return false;
    piece.text.assign(buffer_, begin_, cut);
    drop(cut);
    piece.where = printable(file_->path());
    piece.offset = std::exchange(given_, given_ + cut);
    piece.begins_document = !std::exchange(begun_, true);
    piece.ends_document = ended_ && begin_ == checked_;
    return true;
}

// Where the last character begins, so that something is left for the next piece.
size_t TextSource::last_character() const {
    size_t at = checked_ - 1;
    while ((static_cast<unsigned char>(buffer_[at]) & 0xC0) == 0x80) --at;
    return at;
}

// How many bytes of what has not been given yet make a piece; 0: there is no place to cut.
size_t TextSource::find_cut() const {
    const std::string_view text = std::string_view(buffer_).substr(0, checked_);
    for (size_t window = 4096;; window *= 16) {
        const size_t size = text.size() - begin_;
        size_t from = text.size() - std::min(window, size);
        while (from > begin_ && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) --from;
        if (const size_t end = last_letter_end(from); end > 0) return end - begin_;
        if (window >= size) return 0;
    }
}

// The end of the last letter from byte `from` of the buffer on that white space or punctuation follows; 0 for none.
size_t TextSource::last_letter_end(size_t from) const {
    const std::string_view text = std::string_view(buffer_).substr(0, checked_);
    size_t end = 0;
    for (Regex::Match match{}; letter_end_.find(text, from, match); from = match.end) end = match.end;
    return end;
}

bool TextSource::next_record(TextPiece& piece) {
    while (true) {
        const size_t end = line_end();
        if (end == begin_) return false;
        ++line_;
        const std::string_view line = std::string_view(buffer_).substr(begin_, end - begin_);
        const bool blank = line.find_first_not_of(" \t\r\n") == std::string_view::npos;
        if (!blank) {
            piece.where = printable(file_->path()) + strprintf(": line %llu", static_cast<unsigned long long>(line_));
            piece.text = text_of_record(line, piece.where);
            piece.offset = 0;
            piece.begins_document = piece.ends_document = true;
        }
        drop(end - begin_);
        if (!blank) return true;
    }
}

// Where the line that begins at `begin_` ends, with its line feed.
size_t TextSource::line_end() {
    for (size_t searched = begin_;;) {
        const size_t found = buffer_.find('\n', searched);
        if (found != std::string::npos) return found + 1;
        if (ended_) return buffer_.size();
        searched = buffer_.size();
        if (searched - begin_ > kLongest)
            fail("%s: line %llu is longer than %s", printable(file_->path()).c_str(),
                 static_cast<unsigned long long>(line_ + 1), human_bytes(static_cast<double>(kLongest)).c_str());
        read_more(std::max(kRead, searched - begin_));
    }
}

}  // namespace nib

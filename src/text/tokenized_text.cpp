#include "text/tokenized_text.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "text/text_key.h"
#include "text/text_source.h"

namespace nib {
namespace {

constexpr size_t kLongestPart = size_t{16} << 20;
constexpr size_t kAround = 256;  // bytes on either side of a cut that are looked at

TextKey key_of(const TextSource& source, const Tokenizer& tokenizer, DocumentEnds documents) {
    TextKey key("text");
    key.add(tokenizer);
    key.add(static_cast<uint64_t>(documents));
    for (const std::string& path : source.files()) {
        key.add(TextSource::is_records(path) ? "records" : "text");
        key.add_file(path);
    }
    return key;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Cuts a source's pieces at blank lines. Pieces end after letters, so that line feeds that follow each other are in one.
class Documents {
public:
    Documents(TextSource& source, DocumentEnds ends) : source_(source), ends_(ends) {}

    bool next(TextPiece& out) {
        do {
            if (ends_ == DocumentEnds::Files ? !source_.next(out) : !next_paragraph(out)) return false;
        } while (out.text.empty() && out.begins_document && out.ends_document);
        return true;
    }

private:
    bool next_paragraph(TextPiece& out) {
        if (at_ == piece_.text.size()) {
            if (!source_.next(piece_)) return false;
            at_ = 0;
        }
        const std::string& text = piece_.text;
        size_t end = at_;
        while (end < text.size() && !ends_at(end)) ++end;
        const bool blank = end < text.size();
        const size_t next = blank ? after_blank_lines(end + 1) : end;
        if (blank && end > at_ && text[end - 1] == '\r') --end;
        out.text.assign(text, at_, end - at_);
        out.where = piece_.where;
        out.offset = piece_.offset + at_;
        out.begins_document = !std::exchange(open_, !blank && !piece_.ends_document);
        out.ends_document = !open_;
        at_ = next;
        return true;
    }

    bool ends_at(size_t at) const {
        return piece_.text[at] == '\n' && (ends_ == DocumentEnds::Lines || after_blank_lines(at + 1) > at + 1);
    }

    // Where the first line that is not blank begins, of those from `at` on.
    size_t after_blank_lines(size_t at) const {
        while (true) {
            const size_t end = piece_.text.find_first_not_of(" \t\r", at);
            if (end == std::string::npos || piece_.text[end] != '\n') return at;
            at = end + 1;
        }
    }

    TextSource& source_;
    const DocumentEnds ends_;
    TextPiece piece_;
    size_t at_ = 0;
    bool open_ = false;  // the document goes on
};

// Joins pieces again where the tokens would show that a document was cut.
class Parts {
public:
    Parts(Documents& documents, const Tokenizer& tokenizer) : documents_(documents), tokenizer_(tokenizer) {}

    bool next(TextPiece& part) {
        if (!waiting_ && !documents_.next(waits_)) return false;
        part = std::move(waits_);
        waiting_ = false;
        while (!part.ends_document) {
            if (!documents_.next(waits_)) break;
            waiting_ = part.text.size() >= kLongestPart || may_cut(part.text, waits_.text);
            if (waiting_) return true;
            part.text += waits_.text;
            part.ends_document = waits_.ends_document;
        }
        return true;
    }

private:
    // Whether the text on both sides has the tokens of both together.
    bool may_cut(std::string_view before, std::string_view after) const {
        size_t from = before.size() - std::min(before.size(), kAround), size = std::min(after.size(), kAround);
        while (from > 0 && is_continuation(before[from])) --from;
        while (size < after.size() && is_continuation(after[size])) ++size;
        before.remove_prefix(from);
        after = after.substr(0, size);
        std::vector<int32_t> apart = tokenizer_.encode(before);
        const std::vector<int32_t> right = tokenizer_.encode(after);
        apart.insert(apart.end(), right.begin(), right.end());
        return apart == tokenizer_.encode(std::string(before) + std::string(after));
    }

    Documents& documents_;
    const Tokenizer& tokenizer_;
    TextPiece waits_;
    bool waiting_ = false;
};

// Encodes batches, and writes them in the order of the text. A thread that is far ahead of the one whose batch is written
// next waits for it, so that what was encoded takes little memory.
class Writing {
public:
    Writing(TokenFileWriter& file, const Tokenizer& tokenizer, int threads)
        : file_(file), tokenizer_(tokenizer), most_ahead_(2 * static_cast<uint64_t>(threads)) {}

    // Does nothing when one far behind has failed.
    void add(const PieceBatch& batch) {
        if (!wait_for_room(batch.number)) return;
        try {
            put(batch.number, encode(batch));
        } catch (...) {
            const std::lock_guard lock(mutex_);
            failed_ = true;
            moved_on_.notify_all();
            throw;
        }
    }

    uint64_t bytes() const { return bytes_; }

private:
    struct Encoded {
        std::vector<int32_t> ids;
        std::vector<size_t> ends;  // of documents, in ids
        uint64_t bytes = 0;
    };

    bool wait_for_room(uint64_t number) {
        std::unique_lock lock(mutex_);
        moved_on_.wait(lock, [&] { return failed_ || number - written_ < most_ahead_; });
        return number - written_ < most_ahead_;
    }

    std::vector<int32_t> encode(const TextPiece& part) const {
        try {
            return tokenizer_.encode(part.text, {.begin = part.begins_document});
        } catch (const Error& error) {
            const auto offset = static_cast<unsigned long long>(part.offset);
            throw error.within(part.where + (offset > 0 ? strprintf(": after byte offset %llu", offset) : ""));
        }
    }

    Encoded encode(const PieceBatch& batch) const {
        Encoded encoded;
        for (const TextPiece& part : batch.pieces) {
            const std::vector<int32_t> ids = encode(part);
            encoded.ids.insert(encoded.ids.end(), ids.begin(), ids.end());
            encoded.bytes += part.text.size();
            if (!part.ends_document) continue;
            if (tokenizer_.end_token() >= 0) encoded.ids.push_back(tokenizer_.end_token());
            encoded.ends.push_back(encoded.ids.size());
        }
        return encoded;
    }

    void put(uint64_t number, Encoded encoded) {
        const std::lock_guard lock(mutex_);
        waiting_.emplace(number, std::move(encoded));
        for (auto next = waiting_.begin(); next != waiting_.end() && next->first == written_; ++written_) {
            write(next->second);
            next = waiting_.erase(next);
        }
        moved_on_.notify_all();
    }

    void write(const Encoded& encoded) {
        size_t begin = 0;
        for (const size_t end : encoded.ends) {
            file_.add(std::span(encoded.ids).subspan(begin, end - begin));
            file_.end_document();
            begin = end;
        }
        file_.add(std::span(encoded.ids).subspan(begin));
        bytes_ += encoded.bytes;
    }

    TokenFileWriter& file_;
    const Tokenizer& tokenizer_;
    const uint64_t most_ahead_;
    std::mutex mutex_;
    std::condition_variable moved_on_;
    bool failed_ = false;
    std::map<uint64_t, Encoded> waiting_;
    uint64_t written_ = 0, bytes_ = 0;
};

}  // namespace

std::unique_ptr<TokenFile> tokenized_text(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                          const std::string& folder, const TokenizedTextOptions& options) {
    TextSource source(paths);
    const TextKey key = key_of(source, tokenizer, options.documents);
    const std::string path = key.token_file(folder);
    if (auto found = find_token_file(path, key.value())) return found;

    TokenFileWriter file(path, tokenizer.vocab_size());
    Documents documents(source, options.documents);
    Parts parts(documents, tokenizer);
    Writing writing(file, tokenizer, options.threads);
    const auto next = [&](TextPiece& part) {
        if (options.progress) options.progress(source.bytes_read(), source.total_bytes());
        return parts.next(part);
    };
    for_each_batch(next, options.threads, [&](int, const PieceBatch& batch) { writing.add(batch); });
    if (file.size() == 0) fail("%s: empty, there is no text to read", source.description().c_str());
    file.finish(key.value(), writing.bytes());
    return std::make_unique<TokenFile>(path);
}

}  // namespace nib

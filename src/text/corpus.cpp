#include "text/corpus.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "io/read_file.h"
#include "text/text_encoding.h"
#include "text/text_files.h"
#include "text/utf8.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

std::variant<std::string, MappedFile> content_of(const std::string& path) {
    std::error_code error;
    if (fs::is_regular_file(path, error) && fs::file_size(path, error) <= Corpus::kSmall && !error)
        return read_file(path, Corpus::kSmall);
    return MappedFile(path);
}

}  // namespace

// One pass over one file after the other: checks them, counts their characters and notes which ones there are.
class Corpus::Scan {
public:
    // Fills `mark`, `size` and `index` of a file.
    void run(File& file) {
        file.mark = file.text().size() - without_mark(file.text(), file.path).size();
        const std::string_view text = file.text();
        bool has_nul = false;
        for (size_t at = 0; at < text.size();) {
            const size_t begin = at;
            const bool had_nul = std::exchange(ascii_[0], false);
            const int64_t count = stride(file, text, at);
            if (ascii_[0] && !std::exchange(has_nul, true))
                refuse_appended(file.bytes(), file.mark + text.find('\0', begin), file.path);
            ascii_[0] = ascii_[0] || had_nul;
            file.size += count;
            if (!file.index.empty()) {
                file.index.push_back(begin);
            } else if (at - begin != static_cast<size_t>(count)) {  // until here all was ASCII: characters were bytes
                for (size_t offset = 0; offset <= begin; offset += kStride) file.index.push_back(offset);
            }
        }
    }

    // The characters seen so far, ascending.
    std::vector<char32_t> characters() const {
        std::vector<char32_t> found;
        for (char32_t code = 0; code < kCodePointLimit; ++code) {
            const bool seen = code < ascii_.size() ? ascii_[code] != 0 : (bits_[code / 64] >> (code % 64) & 1) != 0;
            if (seen) found.push_back(code);
        }
        return found;
    }

private:
    // Moves `at` on by `kStride` characters, fewer at the end of the text; returns how many.
    int64_t stride(const File& file, std::string_view text, size_t& at) {
        int64_t count = 0;
        while (count < kStride && at < text.size()) {
            if (kStride - count >= 8 && text.size() - at >= 8 && ascii8(text.data() + at)) {
                for (size_t i = 0; i < 8; ++i) ascii_[static_cast<unsigned char>(text[at + i])] = 1;
                at += 8;
                count += 8;
                continue;
            }
            const Decoded next = decode_utf8(text, at);
            if (next.length == 0) refuse_malformed(file.bytes(), file.mark + at, file.path);
            note(next.code);
            at += static_cast<size_t>(next.length);
            ++count;
        }
        return count;
    }

    void note(char32_t code) {
        if (code < ascii_.size()) {
            ascii_[code] = 1;
        } else {
            bits_[code / 64] |= uint64_t{1} << (code % 64);
        }
    }

    std::array<uint8_t, 128> ascii_{};  // apart from the others because a byte is set without reading it first
    std::vector<uint64_t> bits_ = std::vector<uint64_t>(kCodePointLimit / 64);
};

std::string_view Corpus::File::bytes() const {
    if (const auto* small = std::get_if<std::string>(&content)) return *small;
    const std::span<const std::byte> bytes = std::get<MappedFile>(content).bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view Corpus::File::text() const { return bytes().substr(mark); }

size_t Corpus::File::offset_of(int64_t character) const {
    if (index.empty()) return static_cast<size_t>(character);
    const size_t before = index[static_cast<size_t>(character / kStride)];
    return skip_characters(text(), before, static_cast<size_t>(character % kStride));
}

void Corpus::File::read(int64_t from, std::span<int32_t> ids, const CharTokenizer& tokenizer) const {
    const std::string_view all = text();
    size_t at = offset_of(from);
    for (size_t i = 0; i < ids.size(); ++i) {
        const Decoded next = decode_utf8(all, at);
        if (next.length == 0) fail("%s: changed while nib was using it; start again", printable(path).c_str());
        ids[i] = tokenizer.id_of(next.code);
        if (ids[i] < 0) {
            fail(
                "%s: the model does not know the character %s, character %lld of the file (byte offset %zu); remove it, or "
                "train a new model on this text",
                printable(path).c_str(), describe(next.code).c_str(),
                static_cast<long long>(from) + static_cast<long long>(i) + 1, mark + at);
        }
        at += static_cast<size_t>(next.length);
    }
}

Corpus::Corpus(const std::vector<std::string>& paths) {
    if (paths.empty()) fail("no text was given: name a text file or a folder of them");
    Scan scan;
    for (const std::string& path : paths) {
        for (const std::string& name : files_at(path)) {
            File file{name, content_of(name), 0, size_, 0, {}};
            scan.run(file);
            size_ += file.size;
            if (file.size > 0) files_.push_back(std::move(file));
        }
    }
    if (size_ == 0) {
        fail("%s%s: empty, there is no text to read", printable(paths.front()).c_str(),
             paths.size() > 1 ? " and the others" : "");
    }
    characters_ = scan.characters();
}

void Corpus::read(int64_t begin, std::span<int32_t> ids, const CharTokenizer& tokenizer) const {
    CHECK(begin >= 0 && begin <= size_ && static_cast<int64_t>(ids.size()) <= size_ - begin);
    const auto after = std::upper_bound(files_.begin(), files_.end(), begin,
                                        [](int64_t character, const File& file) { return character < file.begin; });
    for (auto file = after - 1; !ids.empty(); ++file) {
        const int64_t from = begin - file->begin;
        const size_t count = std::min(ids.size(), static_cast<size_t>(file->size - from));
        file->read(from, ids.first(count), tokenizer);
        ids = ids.subspan(count);
        begin += static_cast<int64_t>(count);
    }
}

void Corpus::require_known(const CharTokenizer& tokenizer) const {
    const auto known = [&](char32_t code) { return tokenizer.id_of(code) >= 0; };
    if (std::all_of(characters_.begin(), characters_.end(), known)) return;
    std::array<int32_t, kStride> ids;
    for (int64_t begin = 0; begin < size_; begin += kStride) {
        read(begin, std::span(ids).first(static_cast<size_t>(std::min(kStride, size_ - begin))), tokenizer);
    }
}

}  // namespace nib

// The text that a character model trains on or is measured with: files mapped into memory, addressed by character.
//
// Every Unicode code point is a character as it stands: line ends and emoji are not touched. Only a byte order mark at the
// beginning of a file is no part of the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/error.h"
#include "io/mapped_file.h"
#include "text/char_tokenizer.h"
#include "text/token_text.h"

namespace nib {

/// A text in UTF-8 made of one file or many, in order. It may be larger than memory: files are mapped, and what is kept
/// besides is the set of characters and the byte offset of every `kStride`-th character (nothing for ASCII files). Files up
/// to `kSmall` bytes are read instead, since a system has only some ten thousands of mappings for a process.
class Corpus {
public:
    static constexpr int64_t kStride = 1024;
    static constexpr size_t kSmall = size_t{64} << 10;

    /// Opens files (whatever their names) and folders (see `text_files`), reading each once. Throws Error if one is
    /// missing, cannot be read or is not UTF-8 (UTF-16 that could be taken for it is recognized, too), if a folder has no
    /// text files, and if there is no character at all.
    explicit Corpus(const std::vector<std::string>& paths);

    /// Number of characters.
    int64_t size() const { return size_; }

    /// The distinct characters, ascending: what CharTokenizer::from_code_points takes.
    const std::vector<char32_t>& characters() const { return characters_; }

    /// The files that it is made of, without empty ones: the characters of each, and its path.
    size_t files() const { return files_.size(); }
    Span file_span(size_t i) const { return {files_[i].begin, files_[i].begin + files_[i].size}; }
    const std::string& file_path(size_t i) const { return files_[i].path; }

    /// The ids of the characters [begin, begin + ids.size()), which must be inside the corpus. Throws Error at a character
    /// that the tokenizer does not know. May be called from several threads at once.
    void read(int64_t begin, std::span<int32_t> ids, const CharTokenizer& tokenizer) const;

    /// Throws the Error of `read` for the first character that the tokenizer does not know; fast if it knows them all.
    void require_known(const CharTokenizer& tokenizer) const;

private:
    struct File {
        std::string path;
        std::variant<std::string, MappedFile> content;
        size_t mark = 0;              // bytes of the byte order mark
        int64_t begin = 0;            // characters in the files before this one
        int64_t size = 0;             // characters in this one
        std::vector<uint64_t> index;  // byte offsets in text() of characters 0, kStride, 2 * kStride, ...; empty: all ASCII

        std::string_view bytes() const;
        std::string_view text() const;
        size_t offset_of(int64_t character) const;
        void read(int64_t from, std::span<int32_t> ids, const CharTokenizer& tokenizer) const;
    };
    class Scan;

    std::vector<File> files_;  // none of them empty
    std::vector<char32_t> characters_;
    int64_t size_ = 0;
};

/// A corpus as the tokens of a tokenizer, both of which must outlive it; its documents are the files.
class CharacterText : public TokenText {
public:
    CharacterText(const Corpus& corpus, const CharTokenizer& tokenizer) : corpus_(&corpus), tokenizer_(&tokenizer) {}

    int64_t size() const override { return corpus_->size(); }
    const char* unit() const override { return "character"; }
    void read(int64_t begin, std::span<int32_t> ids) const override { corpus_->read(begin, ids, *tokenizer_); }
    int64_t documents() const override { return static_cast<int64_t>(corpus_->files()); }
    Span document(int64_t i) const override { return corpus_->file_span(static_cast<size_t>(i)); }

    const Corpus& corpus() const { return *corpus_; }
    const CharTokenizer& tokenizer() const { return *tokenizer_; }

private:
    const Corpus* corpus_;
    const CharTokenizer* tokenizer_;
};

}  // namespace nib

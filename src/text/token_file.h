// A file of token ids: a text that was tokenized once, and is mapped from then on.
//
// Ids of 16 bits, or of 32 where the vocabulary needs them, all little-endian; where tokens may be marked, an id's highest
// bit is its mark. Up to the next multiple of 8 bytes zeros follow, then the end of each document in tokens (u64), then a
// footer of 9 u64: a magic number, the key, tokens, documents, the vocabulary's size, whether tokens may be marked, the
// text's bytes, and the records that were passed over, those that are wrong and those that are too long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/atomic_file.h"
#include "io/mapped_file.h"
#include "text/token_text.h"

namespace nib {

/// How many records of a text have no tokens in the file.
struct PassedOver {
    uint64_t wrong = 0, too_long = 0;
};

class TokenFileWriter {
public:
    /// Ids are below `vocab`. Errors here and below: as of AtomicFile, which is what it writes.
    TokenFileWriter(const std::string& path, int64_t vocab, bool marks = false);

    void add(std::span<const int32_t> ids);
    /// The same with which of them are marked (1, else 0).
    void add(std::span<const int32_t> ids, std::span<const uint8_t> marks);
    /// Ends a document, if there are tokens since the last.
    void end_document();
    /// Publishes the file. `key` says what the tokens are of, `bytes` how long that text is. Error when there is no token.
    void finish(uint64_t key, uint64_t bytes, const PassedOver& passed_over = {});
    int64_t size() const { return static_cast<int64_t>(size_); }

private:
    void put(int32_t id, bool mark);
    void flush();

    AtomicFile file_;
    const int64_t vocab_;
    const bool marks_;
    const size_t width_;  // bytes of an id
    std::vector<std::byte> buffer_;
    std::vector<uint64_t> ends_;
    uint64_t size_ = 0;
};

class TokenFile : public TokenText {
public:
    /// Error when the file is missing or is not what a TokenFileWriter has written.
    explicit TokenFile(const std::string& path);

    /// What its tokens are of, and how many bytes that has.
    uint64_t key() const { return key_; }
    uint64_t bytes() const { return bytes_; }
    int64_t vocab() const { return vocab_; }
    const PassedOver& passed_over() const { return passed_over_; }

    int64_t size() const override { return size_; }
    const char* unit() const override { return "token"; }
    void read(int64_t begin, std::span<int32_t> ids) const override;
    /// The same, and which of them are marked (1, else 0).
    void read(int64_t begin, std::span<int32_t> ids, std::span<uint8_t> marks) const;
    int64_t documents() const override { return documents_; }
    Span document(int64_t i) const override;

private:
    [[noreturn]] void damaged(const char* what) const;
    uint64_t end_of(int64_t document) const;

    MappedFile file_;
    uint64_t key_ = 0, bytes_ = 0;
    PassedOver passed_over_;
    int64_t size_ = 0, documents_ = 0, vocab_ = 0;
    bool marks_ = false;
    size_t width_ = 0, ends_ = 0;  // bytes of an id; where the ends of documents are
};

/// The file if it is there, intact and has this key, else null.
std::unique_ptr<TokenFile> find_token_file(const std::string& path, uint64_t key);

}  // namespace nib

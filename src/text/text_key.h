// What tells texts and the ways to read them apart, without reading all of them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/hash.h"
#include "text/tokenizer.h"

namespace nib {

class TextKey {
public:
    /// Of a kind of text, such as "dialogue".
    explicit TextKey(std::string_view kind);
    void add(std::string_view text);
    void add(uint64_t number) { hash_.add(std::as_bytes(std::span(&number, 1))); }
    /// A file by its size, the time of its last change and pieces spread evenly over it (of up to 64 KiB all of it). Error
    /// when it cannot be read, and when it is not a regular file.
    void add_file(const std::string& path);
    /// All that a tokenizer does.
    void add(const Tokenizer& tokenizer);

    uint64_t value() const { return hash_.value(); }
    /// The name of a file of tokens in `folder`: "nib-0123456789abcdef.tokens".
    std::string token_file(const std::string& folder) const;

private:
    Hash64 hash_;
};

}  // namespace nib

// A text as the ids of its tokens, of any size: what training reads.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

namespace nib {

/// A range [begin, end) of a text's tokens.
struct Span {
    int64_t begin, end;
    int64_t size() const { return end - begin; }
    bool operator==(const Span&) const = default;
};

/// May be read from several threads at once.
class TokenText {
public:
    virtual ~TokenText() = default;

    /// Number of tokens, 1 or more.
    virtual int64_t size() const = 0;
    /// What one is, for people: "character" or "token".
    virtual const char* unit() const = 0;
    /// The ids of the tokens [begin, begin + ids.size()), which must be inside the text. Error when the file that they are
    /// read from has changed.
    virtual void read(int64_t begin, std::span<int32_t> ids) const = 0;

    /// The documents that it is made of, in order, without gaps and none of them empty.
    virtual int64_t documents() const = 0;
    virtual Span document(int64_t i) const = 0;
    /// A checksum of what it says beside its tokens; 0: nothing.
    virtual uint64_t beside_tokens() const { return 0; }
    /// The number of the document that a token is of.
    int64_t document_of(int64_t token) const;

protected:
    TokenText() = default;
    TokenText(const TokenText&) = default;
    TokenText& operator=(const TokenText&) = default;
    void check_inside(int64_t begin, size_t count) const;
};

/// Where the last `val_fraction` of `size` tokens begins.
int64_t validation_start(int64_t size, double val_fraction);

/// Divides a text into what trains and what validates, which is the last `val_fraction` of it (0: nothing). Throws Error
/// if the fraction is outside [0, 1), and with Remedy::ShortenContext if a part has fewer than context + 1 tokens; with
/// a context of 0 parts of any size will do.
std::pair<Span, Span> split(const TokenText& text, double val_fraction, int64_t context);

}  // namespace nib

// Lines of a source, a tab and a target, for models with an encoder.
#pragma once

#include <cstdint>
#include <vector>

#include "task/task.h"
#include "text/corpus.h"

namespace nib {

/// The characters between and after a source and its target begin what the decoder writes and end both, so that a
/// vocabulary of a text's characters has all that is needed.
inline constexpr char32_t kPairTab = U'\t', kPairEnd = U'\n';

/// Error unless a line with so many tabs is a source, a tab and a target.
void check_pair_tabs(int64_t tabs);
/// Error for a source or target (`what`) of `size` characters or tokens (`unit`) that a context has no room for, with the
/// end of it if it gets one.
void check_pair_half(const char* what, int64_t size, const char* unit, bool ends, int64_t context);

class Pairs {
public:
    /// The pairs in the lines that begin within `span`; empty lines are none. Error, naming file and line, for one that is
    /// no pair, or longer than a context has room for. What `text` is of must outlive it.
    Pairs(const CharacterText& text, Span span, int64_t context);

    int64_t count() const { return static_cast<int64_t>(pairs_.size()); }
    /// Tokens that pair i predicts.
    int64_t targets(int64_t i) const;
    /// Fills in the row of pair i. Of the line "abc\txy":
    ///     source   a b c \n .      4 of them
    ///     ids      \t x y . .
    ///     targets  x y \n - -      "-": kIgnore
    void read(int64_t i, TaskRow& row) const;

private:
    struct Pair {
        int64_t begin, tab, end;  // characters of the corpus
    };
    // A line of file number `file`.
    struct Line {
        size_t file;
        int64_t number, begin, end, tab, tabs;
    };
    void read_file(size_t file, Span span);
    void add(const Line& line);

    const CharacterText text_;
    const int64_t context_;
    std::vector<Pair> pairs_;
};

}  // namespace nib

// Regular expressions as Hugging Face's tokenizers have them: Oniguruma's (Ruby's syntax), run by PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace nib {

class Regex {
public:
    struct Match {
        size_t begin, end;
    };

    /// Error that says why for an expression that is damaged, or that nib does not support: sets in sets, set operations,
    /// calls of groups, and what PCRE2 does not know. Classes such as \p{L} and \s mean what they mean in Unicode 16.
    explicit Regex(std::string_view pattern);
    /// What matches this text and nothing else.
    static Regex literal(std::string_view text);

    /// The first match that begins at byte `from` of the text or later; false if there is none. The text is UTF-8. Error if
    /// it takes too many steps.
    bool find(std::string_view text, size_t from, Match& match) const;

private:
    struct FreeCode {
        void operator()(void* code) const;
    };
    struct Compiled {
        std::string pattern;  // for PCRE2
    };

    explicit Regex(const Compiled& compiled);

    std::unique_ptr<void, FreeCode> code_;
};

/// Walks over the matches in a text, front to back, and over what lies between them. Together they are the text; a match
/// may be empty, though not right after another one.
class RegexSplitter {
public:
    /// Both must outlive the splitter.
    RegexSplitter(const Regex& regex, std::string_view text) : regex_(regex), text_(text) {}

    struct Part {
        std::string_view text;
        bool is_match;
    };
    bool next(Part& part);

private:
    bool find();

    const Regex& regex_;
    std::string_view text_;
    size_t shown_ = 0;            // the end of the last part
    size_t from_ = 0;             // where to look for the next match
    size_t last_end_ = SIZE_MAX;  // of a match
    Regex::Match match_{0, 0};
    bool found_ = false;  // `match_` is to be shown
};

}  // namespace nib

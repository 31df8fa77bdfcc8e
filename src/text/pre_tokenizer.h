// Cutting a text into the words that a tokenizer's model gets: no token reaches across two of them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

/// Takes a piece of a text; `first`: nothing stands before it in the whole text.
using PieceSink = std::function<void(std::string_view piece, bool first)>;

/// One step: cuts a piece into smaller ones, which may leave something out, or rewrites it.
class PreTokenizerStep {
public:
    virtual ~PreTokenizerStep() = default;
    virtual void operator()(std::string_view piece, bool first, const PieceSink& next) const = 0;
};

class PreTokenizer {
public:
    /// The steps of a TokenizerSpec. With `byte_level` the last one spells bytes, which is left out: words are then bytes
    /// as they are. Error for an option that makes no sense.
    PreTokenizer(const std::string& steps, bool byte_level);

    /// Gives the words of the text, which is UTF-8, to `word`, front to back, none empty. `first`: the text is not what
    /// follows a token that was found in a longer one. Error when an expression takes too many steps.
    void operator()(std::string_view text, bool first, const PieceSink& word) const;

private:
    void run(size_t step, std::string_view piece, bool first, const PieceSink& word) const;

    std::vector<std::unique_ptr<const PreTokenizerStep>> steps_;
};

}  // namespace nib

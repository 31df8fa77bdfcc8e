// Texts with labels: what tasks of classes are trained on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/token_text.h"
#include "text/tokenizer.h"

namespace nib {

/// A text, or two that belong together, and the number of its label.
struct LabelledExample {
    MarkedText text;
    int32_t label = 0;
};

/// Makes a text fit into so many tokens, of two the longer one first; the marks around them stay. Error when these alone
/// do not fit.
void shorten(MarkedText& text, const Tokenizer& tokenizer, int64_t tokens);

/// Examples one behind the other, each a document.
class LabelledText : public TokenText {
public:
    /// `labels`: the names of the labels, in the order of their numbers. Error when there is no example.
    LabelledText(std::span<const LabelledExample> examples, std::vector<std::string> labels);

    int64_t size() const override { return static_cast<int64_t>(ids_.size()); }
    const char* unit() const override { return "token"; }
    void read(int64_t begin, std::span<int32_t> ids) const override;
    int64_t documents() const override { return static_cast<int64_t>(ends_.size()); }
    Span document(int64_t i) const override;
    uint64_t beside_tokens() const override;

    /// The segments of the tokens of an example.
    std::span<const int32_t> segments(int64_t i) const;
    int32_t label(int64_t i) const { return labels_[static_cast<size_t>(i)]; }
    const std::vector<std::string>& label_names() const { return names_; }

private:
    std::vector<int32_t> ids_, segments_;
    std::vector<int64_t> ends_;  // of each example
    std::vector<int32_t> labels_;
    std::vector<std::string> names_;
};

}  // namespace nib

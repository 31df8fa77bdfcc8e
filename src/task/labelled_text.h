// Texts with labels: what tasks of classes are trained on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "task/task.h"
#include "text/token_text.h"
#include "text/tokenizer.h"

namespace nib {

/// A text, or two that belong together, and the number of its label; or those of its tokens.
struct LabelledExample {
    MarkedText text;
    int32_t label = 0;
    std::vector<int32_t> labels{};  // instead of one: any number of them, each once
    std::vector<int32_t> tags{};    // of each token, kIgnore where it has none; empty: the text has one label
    float number = 0;               // instead of a label
    std::vector<int32_t> parts{};   // tokens of each of several texts that do not see each other; empty: all are one
};

/// The tokens of words, with the marks that belong around a text, up to so many tokens; the first token of each word gets
/// its tag, of which there are as many or none. `places`, if given, are set to where the words that fit in begin.
LabelledExample encode_words(const Tokenizer& tokenizer, std::span<const std::string> words, std::span<const int32_t> tags,
                             int64_t tokens, std::vector<size_t>* places = nullptr);

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
    /// Those of an example that may have several.
    const std::vector<int32_t>& labels(int64_t i) const { return label_sets_[static_cast<size_t>(i)]; }
    float number(int64_t i) const { return numbers_[static_cast<size_t>(i)]; }
    const std::vector<int32_t>& parts(int64_t i) const { return parts_[static_cast<size_t>(i)]; }
    /// The tags of its tokens, none if they have none.
    std::span<const int32_t> tags(int64_t i) const;
    const std::vector<std::string>& label_names() const { return names_; }

private:
    std::vector<int32_t> ids_, segments_, tags_;
    std::vector<int64_t> ends_;  // of each example
    std::vector<int32_t> labels_;
    std::vector<float> numbers_;
    std::vector<std::vector<int32_t>> label_sets_, parts_;
    std::vector<std::string> names_;
};

/// The examples that begin within a span of such a text.
class LabelledPart {
public:
    /// Error when the text has no labels.
    LabelledPart(const TokenText& text, Span span);

    int64_t count() const { return count_; }
    int64_t tokens(int64_t i) const { return text_.document(first_ + i).size(); }
    std::vector<int32_t> ids(int64_t i) const;
    int32_t label(int64_t i) const { return text_.label(first_ + i); }
    const std::vector<int32_t>& labels(int64_t i) const { return text_.labels(first_ + i); }
    float number(int64_t i) const { return text_.number(first_ + i); }
    const std::vector<int32_t>& parts(int64_t i) const { return text_.parts(first_ + i); }
    std::span<const int32_t> tags(int64_t i) const { return text_.tags(first_ + i); }
    const std::vector<std::string>& label_names() const { return text_.label_names(); }
    /// Fills in the tokens and segments of a row, and where each stands in its text; targets become kIgnore.
    void read(int64_t i, TaskRow& to) const;

private:
    const LabelledText& text_;
    int64_t first_, count_;
};

}  // namespace nib

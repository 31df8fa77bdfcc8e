// How well spans of tokens are tagged: conlleval's counting, as seqeval has it by default. Tags are "O" outside of spans,
// else a letter and the type of the span: "B-PER" begins one, "I-PER" goes on with it, "E-PER" ends it, "S-PER" is one
// alone. Spans of IOB1, IOB2 and BIOES are found alike; a span may begin with I where nothing comes before it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "task/metrics/f1.h"

namespace nib {

struct TagSpan {
    std::string type;    // "_" where the tag is only a letter
    size_t first, last;  // tokens, both inside
    auto operator<=>(const TagSpan&) const = default;
};

/// The spans of a sentence, in order. Error for an empty tag.
std::vector<TagSpan> tag_spans(std::span<const std::string> tags);

class TagScores {
public:
    /// Counts a sentence. Error when its tags are not as many as predicted, or one is empty.
    void add(std::span<const std::string> actual, std::span<const std::string> predicted);

    /// A span is right if type, beginning and end are.
    const std::map<std::string, F1>& by_type() const { return by_type_; }
    /// From the sums over all types ("micro"), which is conlleval's F1.
    F1 overall() const;
    /// The mean of the types' F1, of those that a sentence has or was given.
    double macro_f1() const;
    /// The share of tokens with the right tag.
    double accuracy() const { return F1::ratio(right_, tokens_); }

private:
    std::map<std::string, F1> by_type_;
    int64_t tokens_ = 0, right_ = 0;
};

}  // namespace nib

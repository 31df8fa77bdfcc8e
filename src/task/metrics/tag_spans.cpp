#include "task/metrics/tag_spans.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "text/python_text.h"

namespace nib {
namespace {

// A tag's first character, and the type after it.
struct Tag {
    std::string_view kind, type;
    bool is(std::string_view kinds) const { return kind.size() == 1 && kinds.find(kind) != std::string_view::npos; }
    bool outside() const { return is("O."); }
};

constexpr Tag kOutside{"O", "_"};

Tag tag_of(std::string_view text) {
    if (text.empty()) fail("a tag is empty");
    const std::string_view kind = python_characters(text.substr(0, 4)).front();
    std::string_view type = text.substr(kind.size());
    if (const size_t dash = type.find('-'); dash != std::string_view::npos) type = type.substr(dash + 1);
    return {kind, type.empty() ? kOutside.type : type};
}

// Whether a span that `before` belongs to ends with it.
bool ends(const Tag& before, const Tag& after) {
    if (before.is("ES")) return true;
    if (before.is("BI") && after.is("BSO")) return true;
    return !before.outside() && before.type != after.type;
}

bool begins(const Tag& before, const Tag& after) {
    if (after.is("BS")) return true;
    if (before.is("ESO") && after.is("EI")) return true;
    return !after.outside() && before.type != after.type;
}

}  // namespace

std::vector<TagSpan> tag_spans(std::span<const std::string> tags) {
    std::vector<TagSpan> spans;
    Tag before = kOutside;
    size_t first = 0;
    for (size_t i = 0; i <= tags.size(); ++i) {
        const Tag tag = i < tags.size() ? tag_of(tags[i]) : kOutside;
        if (ends(before, tag)) spans.push_back({std::string(before.type), first, i - 1});
        if (begins(before, tag)) first = i;
        before = tag;
    }
    return spans;
}

void TagScores::add(std::span<const std::string> actual, std::span<const std::string> predicted) {
    if (actual.size() != predicted.size()) fail("%zu tags were predicted for %zu tokens", predicted.size(), actual.size());
    std::vector<TagSpan> theirs = tag_spans(actual), ours = tag_spans(predicted);
    std::sort(theirs.begin(), theirs.end());
    for (const TagSpan& span : theirs) ++by_type_[span.type].actual;
    for (const TagSpan& span : ours) {
        F1& score = by_type_[span.type];
        ++score.predicted;
        score.right += std::binary_search(theirs.begin(), theirs.end(), span);
    }
    tokens_ += static_cast<int64_t>(actual.size());
    for (size_t i = 0; i < actual.size(); ++i) right_ += actual[i] == predicted[i];
}

F1 TagScores::overall() const {
    F1 sum;
    for (const auto& [type, score] : by_type_) sum += score;
    return sum;
}

double TagScores::macro_f1() const {
    double sum = 0;
    for (const auto& [type, score] : by_type_) sum += score.f1();
    return by_type_.empty() ? 0 : sum / static_cast<double>(by_type_.size());
}

}  // namespace nib

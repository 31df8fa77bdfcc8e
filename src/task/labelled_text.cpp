#include "task/labelled_text.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "core/hash.h"

namespace nib {

void shorten(MarkedText& text, const Tokenizer& tokenizer, int64_t tokens) {
    auto surplus = static_cast<int64_t>(text.ids.size()) - tokens;
    if (surplus <= 0) return;
    const auto is_mark = [&](size_t t) {
        const int32_t id = text.ids[t];
        return (tokenizer.begins_texts() && id == tokenizer.begin_token()) ||
               (tokenizer.ends_texts() && id == tokenizer.end_token());
    };
    std::array<int64_t, 2> words{};  // of each segment, without its marks
    for (size_t t = 0; t < text.ids.size(); ++t) words[text.types[t] != 0 ? 1 : 0] += is_mark(t) ? 0 : 1;
    std::array<int64_t, 2> kept = words;
    for (; surplus > 0; --surplus) {
        int64_t& longer = kept[1] > kept[0] ? kept[1] : kept[0];
        if (longer == 0) fail("the marks around a text do not fit into %lld tokens", static_cast<long long>(tokens));
        --longer;
    }
    MarkedText cut;
    for (size_t t = 0; t < text.ids.size(); ++t) {
        int64_t& left = kept[text.types[t] != 0 ? 1 : 0];
        if (!is_mark(t) && left-- <= 0) continue;
        cut.ids.push_back(text.ids[t]), cut.types.push_back(text.types[t]);
    }
    text = std::move(cut);
}

LabelledText::LabelledText(std::span<const LabelledExample> examples, std::vector<std::string> labels)
    : names_(std::move(labels)) {
    if (examples.empty()) fail("there are no examples");
    for (const LabelledExample& example : examples) {
        if (example.text.ids.empty()) fail("an example has no tokens");
        if (example.label < 0 || example.label >= std::ssize(names_))
            fail("an example has the label %d of %zu", example.label, names_.size());
        ids_.insert(ids_.end(), example.text.ids.begin(), example.text.ids.end());
        segments_.insert(segments_.end(), example.text.types.begin(), example.text.types.end());
        ends_.push_back(size());
        labels_.push_back(example.label);
    }
}

void LabelledText::read(int64_t begin, std::span<int32_t> ids) const {
    check_inside(begin, ids.size());
    std::copy_n(ids_.begin() + begin, ids.size(), ids.begin());
}

Span LabelledText::document(int64_t i) const {
    if (i < 0 || i >= documents()) fail("there is no example %lld", static_cast<long long>(i));
    const auto at = static_cast<size_t>(i);
    return {at > 0 ? ends_[at - 1] : 0, ends_[at]};
}

std::span<const int32_t> LabelledText::segments(int64_t i) const {
    const Span span = document(i);
    return std::span(segments_).subspan(static_cast<size_t>(span.begin), static_cast<size_t>(span.size()));
}

uint64_t LabelledText::beside_tokens() const {
    Hash64 hash;
    hash.add(std::as_bytes(std::span(labels_)));
    hash.add(std::as_bytes(std::span(segments_)));
    hash.add(std::as_bytes(std::span(ends_)));
    for (const std::string& name : names_)
        for (const char c : name + '\n') {
            const auto word = static_cast<uint32_t>(static_cast<unsigned char>(c));
            hash.add(std::as_bytes(std::span(&word, 1)));
        }
    return hash.value();
}

}  // namespace nib

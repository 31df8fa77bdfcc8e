#include "task/labelled_text.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "core/hash.h"
#include "task/examples.h"
#include "text/char_tokenizer.h"

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

LabelledExample encode_words(const Tokenizer& tokenizer, std::span<const std::string> words, std::span<const int32_t> tags,
                             int64_t tokens, std::vector<size_t>* places) {
    LabelledExample example;
    std::vector<int32_t>& ids = example.text.ids;
    const int64_t ends = tokenizer.ends_texts() ? 1 : 0;
    const auto put = [&](int32_t id, int32_t tag) { ids.push_back(id), example.tags.push_back(tag); };
    if (tokenizer.begins_texts()) put(tokenizer.begin_token(), kIgnore);
    // Where a space belongs to the word after it, a word alone would be another.
    const auto* characters = dynamic_cast<const CharTokenizer*>(&tokenizer);
    const bool spaced = characters != nullptr ? characters->id_of(U' ') >= 0 : tokenizer.kind() == std::string_view("bpe");
    for (size_t w = 0; w < words.size(); ++w) {
        std::vector<int32_t> word = tokenizer.encode(w > 0 && spaced ? " " + words[w] : words[w], {.special = false});
        if (word.empty())
            word.push_back(std::max(tokenizer.specials().unknown, 0));  // of what leaves nothing, such as U+200B
        if (std::ssize(ids) + std::ssize(word) + ends > tokens) break;
        if (places != nullptr) places->push_back(ids.size());
        for (size_t t = 0; t < word.size(); ++t) put(word[t], t == 0 && !tags.empty() ? tags[w] : kIgnore);
    }
    if (ends > 0) put(tokenizer.end_token(), kIgnore);
    example.text.types.resize(ids.size());
    return example;
}

LabelledText::LabelledText(std::span<const LabelledExample> examples, std::vector<std::string> labels)
    : names_(std::move(labels)) {
    if (examples.empty()) fail("there are no examples");
    for (const LabelledExample& example : examples) {
        if (example.text.ids.empty()) fail("an example has no tokens");
        if (example.label < 0 || example.label >= std::ssize(names_))
            fail("an example has the label %d of %zu", example.label, names_.size());
        for (const int32_t label : example.labels)
            if (label < 0 || label >= std::ssize(names_)) fail("an example has the label %d of %zu", label, names_.size());
        ids_.insert(ids_.end(), example.text.ids.begin(), example.text.ids.end());
        segments_.insert(segments_.end(), example.text.types.begin(), example.text.types.end());
        if (!example.tags.empty() && example.tags.size() != example.text.ids.size())
            fail("an example of %zu tokens has %zu tags", example.text.ids.size(), example.tags.size());
        for (const int32_t tag : example.tags)
            if (tag != kIgnore && (tag < 0 || tag >= std::ssize(names_)))
                fail("a token has the tag %d of %zu", tag, names_.size());
        tags_.insert(tags_.end(), example.tags.begin(), example.tags.end());
        ends_.push_back(size());
        labels_.push_back(example.label);
        numbers_.push_back(example.number);
        label_sets_.push_back(example.labels);
        parts_.push_back(example.parts);
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

std::span<const int32_t> LabelledText::tags(int64_t i) const {
    const Span span = document(i);
    if (tags_.empty()) return {};
    return std::span(tags_).subspan(static_cast<size_t>(span.begin), static_cast<size_t>(span.size()));
}

uint64_t LabelledText::beside_tokens() const {
    Hash64 hash;
    hash.add(std::as_bytes(std::span(tags_)));
    hash.add(std::as_bytes(std::span(numbers_)));
    for (const auto* lists : {&parts_, &label_sets_})
        for (const std::vector<int32_t>& list : *lists) hash.add(std::as_bytes(std::span(list)));
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

LabelledPart::LabelledPart(const TokenText& text, Span span)
    : text_([&]() -> const LabelledText& {
          const auto* labelled = dynamic_cast<const LabelledText*>(&text);
          if (labelled == nullptr) fail("the texts have no labels");
          return *labelled;
      }()) {
    const DocumentRange range = documents_within(text, span);
    first_ = range.first, count_ = range.count;
}

std::vector<int32_t> LabelledPart::ids(int64_t i) const {
    std::vector<int32_t> ids(static_cast<size_t>(tokens(i)));
    text_.read(text_.document(first_ + i).begin, ids);
    return ids;
}

void LabelledPart::read(int64_t i, TaskRow& to) const {
    const Span span = text_.document(first_ + i);
    const auto length = static_cast<size_t>(span.size());
    if (length > to.ids.size()) fail("an example of %zu tokens does not fit into rows of %zu", length, to.ids.size());
    text_.read(span.begin, to.ids.first(length));
    std::fill(to.ids.begin() + static_cast<std::ptrdiff_t>(length), to.ids.end(), 0);
    if (!to.segments.empty()) std::copy_n(text_.segments(first_ + i).begin(), length, to.segments.begin());
    std::fill(to.targets.begin(), to.targets.end(), kIgnore);
    to.length = static_cast<int32_t>(length);
    size_t at = 0;
    for (const int32_t part : text_.parts(first_ + i))
        for (int32_t t = 0; t < part; ++t) to.positions[at++] = t;
}

}  // namespace nib

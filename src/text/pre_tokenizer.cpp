#include "text/pre_tokenizer.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/step_pattern.h"
#include "text/tokenizer_spec.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

using nlohmann::json;

// What becomes of the parts of a text that match and of those between them.
enum class Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };
constexpr const char* kBehaviors[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};

Behavior read_behavior(const json& step) {
    const auto name = step["behavior"].get<std::string>();
    const auto* const found = std::find(std::begin(kBehaviors), std::end(kBehaviors), name);
    if (found == std::end(kBehaviors)) fail("the behavior `%s` is not supported", printable(name, 40).c_str());
    return static_cast<Behavior>(found - std::begin(kBehaviors));
}

// Joins neighbouring parts, given front to back, as the behavior says, and passes them on.
class Joiner {
public:
    Joiner(Behavior behavior, std::string_view piece, bool first, const PieceSink& next)
        : behavior_(behavior), piece_(piece), first_(first), next_(next) {}
    Joiner(const Joiner&) = delete;
    Joiner& operator=(const Joiner&) = delete;

    void add(size_t begin, size_t end, bool is_match) {
        bool join = false;
        switch (behavior_) {
            case Behavior::Removed:
            case Behavior::Isolated: break;
            case Behavior::MergedWithPrevious: join = is_match && !last_matched_; break;
            case Behavior::MergedWithNext: join = last_matched_ && !is_match; break;
            case Behavior::Contiguous: join = is_match == last_matched_; break;
        }
        if (!join || !open_) {
            close();
            begin_ = begin;
        }
        end_ = end;
        open_ = !(behavior_ == Behavior::Removed && is_match);
        last_matched_ = is_match;
    }
    void close() {
        if (open_ && begin_ < end_) next_(piece_.substr(begin_, end_ - begin_), first_ && begin_ == 0);
        open_ = false;
    }

private:
    Behavior behavior_;
    std::string_view piece_;
    bool first_;
    const PieceSink& next_;
    size_t begin_ = 0, end_ = 0;
    bool open_ = false, last_matched_ = false;
};

// Cuts where a regular expression matches; inverted, where it does not.
class SplitByRegex : public PreTokenizerStep {
public:
    SplitByRegex(Regex regex, Behavior behavior, bool invert)
        : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}

    void operator()(std::string_view piece, bool first, const PieceSink& next) const override {
        Joiner joiner(behavior_, piece, first, next);
        RegexSplitter parts(regex_, piece);
        for (RegexSplitter::Part part; parts.next(part);) {
            const auto begin = static_cast<size_t>(part.text.data() - piece.data());
            joiner.add(begin, begin + part.text.size(), part.is_match != invert_);
        }
        joiner.close();
    }

private:
    Regex regex_;
    Behavior behavior_;
    bool invert_;
};

// Cuts where there are characters of a class.
class SplitByClass : public PreTokenizerStep {
public:
    SplitByClass(bool (*is_match)(char32_t), Behavior behavior) : is_match_(is_match), behavior_(behavior) {}

    void operator()(std::string_view piece, bool first, const PieceSink& next) const override {
        Joiner joiner(behavior_, piece, first, next);
        size_t gap = 0;  // where characters that do not match began
        for (size_t at = 0; at < piece.size();) {
            const Decoded character = decode_utf8(piece, at);
            const size_t end = at + static_cast<size_t>(character.length);
            if (is_match_(character.code)) {
                if (gap < at) joiner.add(gap, at, false);
                joiner.add(at, end, true);
                gap = end;
            }
            at = end;
        }
        if (gap < piece.size()) joiner.add(gap, piece.size(), false);
        joiner.close();
    }

private:
    bool (*is_match_)(char32_t);
    Behavior behavior_;
};

// Cuts into words and what is neither a word nor white space.
class SplitWords : public PreTokenizerStep {
public:
    void operator()(std::string_view piece, bool first, const PieceSink& next) const override {
        enum Kind { kSpace, kWord, kOther } kind = kSpace;
        size_t begin = 0;
        const auto close = [&](size_t end) {
            if (kind != kSpace) next(piece.substr(begin, end - begin), first && begin == 0);
        };
        for (size_t at = 0; at < piece.size();) {
            const Decoded character = decode_utf8(piece, at);
            const Kind its = is_word(character.code) ? kWord : is_whitespace(character.code) ? kSpace : kOther;
            if (its != kind) {
                close(at);
                begin = at;
                kind = its;
            }
            at += static_cast<size_t>(character.length);
        }
        close(piece.size());
    }
};

class FixedLength : public PreTokenizerStep {
public:
    explicit FixedLength(size_t length) : length_(length) {
        if (length == 0) fail("the length is 0");
    }

    void operator()(std::string_view piece, bool first, const PieceSink& next) const override {
        for (size_t begin = 0; begin < piece.size();) {
            const size_t end = skip_characters(piece, begin, length_);
            next(piece.substr(begin, end - begin), first && begin == 0);
            begin = end;
        }
    }

private:
    size_t length_;
};

class PrefixSpace : public PreTokenizerStep {
public:
    void operator()(std::string_view piece, bool first, const PieceSink& next) const override {
        if (piece.starts_with(' ')) return next(piece, first);
        next(" " + std::string(piece), first);
    }
};

class SpellBytes : public PreTokenizerStep {
public:
    void operator()(std::string_view piece, bool first, const PieceSink& next) const override {
        next(spell_bytes(piece), first);
    }
};

// Replaces spaces by a visible mark, puts one before the text, and cuts before each.
class Metaspace : public PreTokenizerStep {
public:
    explicit Metaspace(const json& step)
        : mark_(step["replacement"].get<std::string>()), split_(step["split"].get<bool>()) {
        const auto scheme = step["prepend_scheme"].get<std::string>();
        if (scheme != "always" && scheme != "first" && scheme != "never")
            fail("the prepend_scheme `%s` is not supported", printable(scheme, 40).c_str());
        always_ = scheme == "always";
        at_start_ = scheme == "first";
        if (!is_character(mark_)) fail("the replacement is not one character");
    }

    void operator()(std::string_view piece, bool first, const PieceSink& next) const override {
        std::string text;
        for (const char c : piece) c == ' ' ? text += mark_ : text += c;
        if ((always_ || (at_start_ && first)) && !text.starts_with(mark_)) text.insert(0, mark_);
        if (!split_) return next(text, first);
        for (size_t begin = 0; begin < text.size();) {
            const size_t end = std::min(text.find(mark_, begin + 1), text.size());
            next(std::string_view(text).substr(begin, end - begin), first && begin == 0);
            begin = end;
        }
    }

private:
    std::string mark_;
    bool split_, always_, at_start_;
};

using Steps = std::vector<std::unique_ptr<const PreTokenizerStep>>;

void add_byte_level(const json& step, bool spell, Steps& steps) {
    if (step["add_prefix_space"].get<bool>()) steps.push_back(std::make_unique<PrefixSpace>());
    if (step["use_regex"].get<bool>())
        steps.push_back(std::make_unique<SplitByRegex>(Regex(kGpt2Pattern), Behavior::Isolated, false));
    if (spell) steps.push_back(std::make_unique<SpellBytes>());
}

void add_step(const json& step, bool spell, Steps& steps) {
    const std::string type = step["type"];
    const auto add_class = [&](bool (*is_match)(char32_t), Behavior behavior) {
        steps.push_back(std::make_unique<SplitByClass>(is_match, behavior));
    };
    const auto add_regex = [&](Regex regex, Behavior behavior, bool invert) {
        steps.push_back(std::make_unique<SplitByRegex>(std::move(regex), behavior, invert));
    };
    if (type == "BertPreTokenizer") {
        add_class(is_whitespace, Behavior::Removed);
        add_class(is_punctuation, Behavior::Isolated);
    } else if (type == "ByteLevel") {
        add_byte_level(step, spell, steps);
    } else if (type == "CharDelimiterSplit") {
        const auto delimiter = step["delimiter"].get<std::string>();
        if (delimiter.empty()) fail("the delimiter is empty");
        add_regex(Regex::literal(delimiter), Behavior::Removed, false);
    } else if (type == "Digits") {
        add_class(is_numeric, step["individual_digits"].get<bool>() ? Behavior::Isolated : Behavior::Contiguous);
    } else if (type == "FixedLength") {
        steps.push_back(std::make_unique<FixedLength>(step["length"].get<size_t>()));
    } else if (type == "Metaspace") {
        steps.push_back(std::make_unique<Metaspace>(step));
    } else if (type == "Punctuation") {
        add_class(is_punctuation, read_behavior(step));
    } else if (type == "Split") {
        add_regex(read_pattern(step["pattern"]), read_behavior(step), step["invert"].get<bool>());
    } else if (type == "Whitespace") {
        steps.push_back(std::make_unique<SplitWords>());
    } else {
        CHECK(type == "WhitespaceSplit");
        add_class(is_whitespace, Behavior::Removed);
    }
}

}  // namespace

PreTokenizer::PreTokenizer(const std::string& steps, bool byte_level) {
    const json list = json::parse(steps);
    for (size_t i = 0; i < list.size(); ++i) {
        try {
            add_step(list[i], !byte_level || i + 1 < list.size(), steps_);
        } catch (const Error& error) {
            fail("the pre-tokenizer %s: %s", list[i]["type"].get<std::string>().c_str(), error.what());
        }
    }
}

void PreTokenizer::operator()(std::string_view text, bool first, const PieceSink& word) const {
    if (!text.empty()) run(0, text, first, word);
}

void PreTokenizer::run(size_t step, std::string_view piece, bool first, const PieceSink& word) const {
    if (step == steps_.size()) return word(piece, first);
    if (step + 1 == steps_.size()) return (*steps_[step])(piece, first, word);
    (*steps_[step])(piece, first, [&](std::string_view part, bool at_start) { run(step + 1, part, at_start, word); });
}

}  // namespace nib

#include "task/question_text.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/hash.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr int64_t kUsualStride = 128;
constexpr size_t kIds = 3;  // that are named

// Marks are text like any other: questions and contexts come from strangers.
constexpr EncodeOptions kPlain{.special = false};

// Where a text stands, if it does so once.
size_t only_place(const std::string& context, const std::string& text) {
    const size_t first = context.find(text);
    const bool again = first != std::string::npos && context.find(text, first + 1) != std::string::npos;
    return again || text.empty() || first == std::string::npos ? Answer::kNowhere : first;
}

bool is_mostly_chinese(const std::string& text) {
    size_t chinese = 0, all = 0;
    for (size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        at += static_cast<size_t>(std::max(next.length, 1));
        chinese += is_chinese(next.code), ++all;
    }
    return 2 * chinese > all;
}

}  // namespace

std::optional<TokenRange> tokens_at(const PlacedTokens& tokens, size_t begin, size_t end) {
    const auto& places = tokens.places;
    const auto first =
        std::partition_point(places.begin(), places.end(), [&](const auto& place) { return place.end <= begin; });
    const auto behind =
        std::partition_point(places.begin(), places.end(), [&](const auto& place) { return place.begin < end; });
    if (first >= behind) return std::nullopt;
    return TokenRange{first - places.begin(), behind - places.begin() - 1};
}

QuestionText::QuestionText(std::span<const Question> questions, const Tokenizer& tokenizer, const WindowOptions& options)
    : tokenizer_(tokenizer) {
    if (questions.empty()) fail("there are no questions");
    for (const Question& question : questions) {
        try {
            add(question, options);
        } catch (const Error& error) {
            throw question.where.empty() ? error : error.within(question.where);
        }
    }
}

void QuestionText::add(const Question& question, const WindowOptions& options) {
    if (contexts_.empty() || contexts_.back().text != question.context)
        contexts_.push_back({question.context, tokenizer_.encode_placed(*question.context, kPlain), std::ssize(windows_)});
    const PlacedTokens& tokens = contexts_.back().tokens;
    Asked asked{question.id, question.texts(), std::ssize(contexts_) - 1, std::ssize(windows_),
                tokenizer_.encode(question.question, kPlain)};
    const int64_t room = options.tokens - std::ssize(tokenizer_.mark({}, {}).ids);
    if (room < 2) fail("%lld tokens have no room for a question and a context", static_cast<long long>(options.tokens));
    if (std::ssize(asked.ids) > room / 2) asked.ids.resize(at(room / 2));
    const int64_t fits = room - std::ssize(asked.ids), all = std::ssize(tokens.ids),
                  row = std::ssize(tokenizer_.mark(asked.ids, {}).ids) - (tokenizer_.ends_texts() ? 1 : 0);
    const int64_t stride =
        options.stride > 0 ? std::min(options.stride, fits) : std::min(kUsualStride, std::max<int64_t>(fits / 2, 1));
    const std::optional<TokenRange> answer = answer_of(question, tokens);
    may_be_none_ |= question.answers.empty();
    const bool known = answer.has_value() || question.answers.empty();
    for (int64_t first = 0;; first += stride) {
        Window window{std::ssize(questions_), first, std::min(fits, all - first), row, known ? 0 : -1, known ? 0 : -1};
        if (answer && answer->first >= first && answer->second < first + window.count)
            window.begin = row + answer->first - first, window.end = row + answer->second - first;
        windows_.push_back(window);
        const int64_t length = row + window.count + (tokenizer_.ends_texts() ? 1 : 0);
        if (length == 0) fail("neither the question nor its context has tokens");
        ends_.push_back((ends_.empty() ? 0 : ends_.back()) + length);
        if (first + window.count >= all) break;
    }
    questions_.push_back(std::move(asked));
}

// The first answer whose place is known.
std::optional<TokenRange> QuestionText::answer_of(const Question& question, const PlacedTokens& tokens) {
    std::optional<TokenRange> known;
    for (const Answer& answer : question.answers) {
        size_t begin = answer.begin;
        if (begin == Answer::kNowhere) {
            ++misplaced_.count;
            begin = only_place(*question.context, answer.text);
            misplaced_.found += begin != Answer::kNowhere;
            std::vector<std::string>& ids = misplaced_.ids;
            if (ids.size() < kIds && (ids.empty() || ids.back() != question.id)) ids.push_back(question.id);
        }
        if (!known && begin != Answer::kNowhere) known = tokens_at(tokens, begin, begin + answer.text.size());
    }
    return known;
}

MarkedText QuestionText::read_window(int64_t i) const {
    const Window& window = windows_.at(at(i));
    const Asked& question = questions_[at(window.question)];
    const std::span<const int32_t> context(tokens_of(question).ids);
    return tokenizer_.mark(question.ids, context.subspan(at(window.first), at(window.count)));
}

int64_t QuestionText::window_of(int64_t token) const {
    return std::upper_bound(ends_.begin(), ends_.end(), token) - ends_.begin();
}

void QuestionText::read(int64_t begin, std::span<int32_t> ids) const {
    check_inside(begin, ids.size());
    for (int64_t i = window_of(begin); !ids.empty(); ++i) {
        const std::vector<int32_t> window = read_window(i).ids;
        const auto from = at(begin - window_begin(i));
        const size_t count = std::min(window.size() - from, ids.size());
        std::copy_n(window.begin() + static_cast<std::ptrdiff_t>(from), count, ids.begin());
        ids = ids.subspan(count), begin += static_cast<int64_t>(count);
    }
}

Span QuestionText::document(int64_t i) const {
    if (i < 0 || i >= documents()) fail("there is no context %lld", static_cast<long long>(i));
    const int64_t next = i + 1 < documents() ? contexts_[at(i + 1)].first_window : std::ssize(windows_);
    return {window_begin(contexts_[at(i)].first_window), window_begin(next)};
}

uint64_t QuestionText::beside_tokens() const {
    Hash64 hash;
    for (const Window& window : windows_) {
        const std::array<int64_t, 4> numbers = {window.question, window.first, window.begin, window.end};
        hash.add(std::as_bytes(std::span(numbers)));
    }
    return hash.value();
}

AnswerRules QuestionText::usual_rules() const {
    const auto chinese = std::count_if(contexts_.begin(), contexts_.end(),
                                       [](const Context& context) { return is_mostly_chinese(*context.text); });
    if (2 * chinese > std::ssize(contexts_)) return AnswerRules::Cmrc2018;
    return may_be_none_ ? AnswerRules::Squad2 : AnswerRules::Squad1;
}

std::vector<Question> read_questions(const std::vector<std::string>& paths, bool skip_bad,
                                     const std::function<void(const std::string&)>& note) {
    std::vector<Question> all;
    for (const std::string& path : paths) {
        QuestionFile file(path, skip_bad);
        for (Question question; file.next(question);) all.push_back(std::move(question));
        if (file.bad().count() > 0 && note)
            note(strprintf("%s passed over, such as %s",
                           counted(static_cast<int64_t>(file.bad().count()), "record").c_str(),
                           file.bad().reasons().front().c_str()));
    }
    return all;
}

std::string misplaced_note(const QuestionText& text) {
    const QuestionText::Misplaced& misplaced = text.misplaced();
    if (misplaced.count == 0) return "";
    std::string ids;
    for (const std::string& id : misplaced.ids) ids += (ids.empty() ? "" : ", ") + printable(id, 60);
    return strprintf(
        "%s not where %s said to be, such as of %s; %lld %s found elsewhere in the context, others are passed over",
        counted(misplaced.count, "answer").c_str(), misplaced.count == 1 ? "it is" : "they are", ids.c_str(),
        static_cast<long long>(misplaced.found), misplaced.found == 1 ? "was" : "were");
}

}  // namespace nib

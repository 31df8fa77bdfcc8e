#include "task/metrics/answers.h"

#include <algorithm>
#include <unordered_map>

#include "core/error.h"
#include "task/metrics/f1.h"
#include "task/metrics/treebank_words.h"
#include "text/python_text.h"
#include "text/regex.h"
#include "text/utf8.h"

namespace nib {
namespace {

bool is_ascii_punctuation(char c) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

double f1_of(size_t same, size_t predicted, size_t answer) {
    return F1{static_cast<int64_t>(same), static_cast<int64_t>(predicted), static_cast<int64_t>(answer)}.f1();
}

// ---- SQuAD
// ---------------------------------------------------------------------------------------------------------------

double bag_f1(const std::string& predicted, const std::string& answer) {
    const std::vector<std::string_view> theirs = python_split(answer), ours = python_split(predicted);
    std::unordered_map<std::string_view, int64_t> left;
    for (const std::string_view word : theirs) ++left[word];
    size_t same = 0;
    for (const std::string_view word : ours)
        if (const auto found = left.find(word); found != left.end() && found->second-- > 0) ++same;
    return f1_of(same, ours.size(), theirs.size());
}

AnswerScore score_squad(AnswerRules rules, std::string_view predicted, std::span<const std::string> answers) {
    const std::string ours = normalized_answer(predicted);
    AnswerScore best{0, 0};
    bool any = false;
    for (const std::string& answer : answers) {
        const std::string theirs = normalized_answer(answer);
        if (theirs.empty() && rules == AnswerRules::Squad2) continue;
        any = true;
        best.exact = std::max(best.exact, theirs == ours ? 1.0 : 0.0);
        best.f1 = std::max(best.f1, bag_f1(ours, theirs));
    }
    const double silent = ours.empty() ? 1 : 0;
    return any ? best : AnswerScore{silent, silent};
}

// ---- CMRC 2018
// -----------------------------------------------------------------------------------------------------------

bool is_passed_over(std::string_view character) {
    static constexpr std::string_view kPunctuation[] = {"-",  ":",  "_",  "*",  "^",  "/",  "\\", "~",  "`",  "+",  "=",
                                                        "，", "。", "：", "？", "！", "“",  "”",  "；", "’",  "《", "》",
                                                        "·",  "、", "「", "」", "（", "）", "－", "～", "『", "』"};
    return std::find(std::begin(kPunctuation), std::end(kPunctuation), character) != std::end(kPunctuation);
}

std::string lower_and_stripped(std::string_view text) {
    const std::string lower = python_lower(text);
    return std::string(python_strip(lower));
}

std::string without_punctuation(std::string_view text) {
    const std::string lower = lower_and_stripped(text);
    std::string kept;
    for (const std::string_view character : python_characters(lower))
        if (!is_passed_over(character)) kept += character;
    return kept;
}

// The length of the longest run that both have.
size_t longest_run(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    std::vector<size_t> ending(b.size() + 1);  // with a's current segment and b's segment before this index
    size_t longest = 0;
    for (const std::string& segment : a)
        for (size_t j = b.size(); j-- > 0;) {
            ending[j + 1] = segment == b[j] ? ending[j] + 1 : 0;
            longest = std::max(longest, ending[j + 1]);
        }
    return longest;
}

AnswerScore score_cmrc(std::string_view predicted, std::span<const std::string> answers) {
    const std::string ours = without_punctuation(predicted);
    const std::vector<std::string> segments = mixed_segments(predicted);
    AnswerScore best{0, 0};
    for (const std::string& answer : answers) {
        const std::vector<std::string> theirs = mixed_segments(answer);
        best.exact = std::max(best.exact, without_punctuation(answer) == ours ? 1.0 : 0.0);
        best.f1 = std::max(best.f1, f1_of(longest_run(theirs, segments), segments.size(), theirs.size()));
    }
    const double silent = ours.empty() ? 1 : 0;
    return answers.empty() ? AnswerScore{silent, silent} : best;
}

}  // namespace

std::string normalized_answer(std::string_view text) {
    static const Regex article(R"((?<![\p{L}\p{N}])(?:an?|the)(?![\p{L}\p{N}]))");
    std::string lower = python_lower(text);
    std::erase_if(lower, is_ascii_punctuation);
    if (find_invalid(lower) != std::string::npos) fail("an answer is not UTF-8 text");
    std::string without;
    RegexSplitter parts(article, lower);
    for (RegexSplitter::Part part{}; parts.next(part);) without += part.is_match ? std::string_view(" ") : part.text;
    std::string normalized;
    for (const std::string_view word : python_split(without)) {
        if (!normalized.empty()) normalized += ' ';
        normalized += word;
    }
    return normalized;
}

std::vector<std::string> mixed_segments(std::string_view text) {
    const std::string lower = lower_and_stripped(text);
    if (find_invalid(lower) != std::string::npos) fail("an answer is not UTF-8 text");
    std::vector<std::string> segments;
    std::string other;
    const auto finish = [&] {
        for (std::string& word : treebank_words(other)) segments.push_back(std::move(word));
        other.clear();
    };
    for (const std::string_view character : python_characters(lower)) {
        if (is_passed_over(character)) continue;
        const char32_t code = decode_utf8(character, 0).code;
        if (code < 0x4E00 || code > 0x9FA5) {
            other += character;
            continue;
        }
        finish();
        segments.emplace_back(character);
    }
    finish();
    return segments;
}

AnswerScore score_answer(AnswerRules rules, std::string_view predicted, std::span<const std::string> answers) {
    return rules == AnswerRules::Cmrc2018 ? score_cmrc(predicted, answers) : score_squad(rules, predicted, answers);
}

AnswerScore AnswerScores::add(std::string_view predicted, std::span<const std::string> answers) {
    const AnswerScore score = score_answer(rules_, predicted, answers);
    Mean& sums = answers.empty() ? unanswerable_ : answerable_;
    sums.exact += score.exact;
    sums.f1 += score.f1;
    ++sums.questions;
    return score;
}

AnswerScores::Mean AnswerScores::mean(Mean sums) {
    const double scale = sums.questions == 0 ? 0 : 100 / static_cast<double>(sums.questions);
    return {sums.exact * scale, sums.f1 * scale, sums.questions};
}

AnswerScores::Mean AnswerScores::all() const {
    return mean({answerable_.exact + unanswerable_.exact, answerable_.f1 + unanswerable_.f1,
                 answerable_.questions + unanswerable_.questions});
}

}  // namespace nib

#include "task/answer_search.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace nib {
namespace {

// The better one first; of equals the one that stands before.
bool is_better(const FoundAnswer& a, const FoundAnswer& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
}

// Adds an answer where it belongs among the best. One that two windows have counts where it is better.
void insert(std::vector<FoundAnswer>& best, const FoundAnswer& answer) {
    const auto same = std::find_if(best.begin(), best.end(),
                                   [&](const auto& one) { return one.begin == answer.begin && one.end == answer.end; });
    if (same != best.end()) {
        if (!is_better(answer, *same)) return;
        best.erase(same);
    }
    best.insert(std::upper_bound(best.begin(), best.end(), answer, is_better), answer);
    if (best.size() > AnswerSearch::kCompared) best.pop_back();
}

}  // namespace

void AnswerSearch::add(int64_t number, std::span<const float> logits) {
    const QuestionText::Window& window = text_.windows().at(static_cast<size_t>(number));
    const auto& places = text_.tokens_of(text_.questions()[static_cast<size_t>(window.question)]).places;
    const auto row = static_cast<size_t>(window.row), count = static_cast<size_t>(window.count),
               first = static_cast<size_t>(window.first);
    if (logits.size() < 2 * (row + count) || logits.empty()) fail("there are no logits for all tokens of a window");
    for (const float logit : logits)
        if (!std::isfinite(logit)) fail("a logit is not a number; the weights are damaged or their training diverged");
    const double none = static_cast<double>(logits[0]) + static_cast<double>(logits[1]);
    const auto [found, is_new] = answers_.try_emplace(window.question);
    Answers& answers = found->second;
    answers.none = is_new ? none : std::min(answers.none, none);
    for (size_t i = 0; i < count; ++i)
        for (size_t j = i; j < std::min(count, i + static_cast<size_t>(longest_)); ++j) {
            const double score =
                static_cast<double>(logits[2 * (row + i)]) + static_cast<double>(logits[2 * (row + j) + 1]);
            if (answers.best.size() == kCompared && score < answers.best.back().score) continue;
            insert(answers.best, {places[first + i].begin, places[first + j].end, score});
        }
}

std::vector<double> AnswerSearch::Answers::probabilities(bool may_be_none) const {
    std::vector<double> all;
    for (const FoundAnswer& answer : best) all.push_back(answer.score);
    if (may_be_none) all.push_back(none);
    if (all.empty()) return all;
    const double most = *std::max_element(all.begin(), all.end());
    double sum = 0;
    for (double& score : all) sum += score = std::exp(score - most);
    for (double& score : all) score /= sum;
    return all;
}

std::string AnswerSearch::text_of(int64_t question, bool may_be_none) const {
    const Answers& answers = answers_.at(question);
    if (answers.best.empty() || (may_be_none && answers.is_none())) return "";
    const FoundAnswer& best = answers.best.front();
    return text_.context_of(text_.questions()[static_cast<size_t>(question)]).substr(best.begin, best.end - best.begin);
}

}  // namespace nib

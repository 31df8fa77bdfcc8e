#include "task/metrics/rouge.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "task/metrics/f1.h"
#include "text/python_text.h"

namespace nib {
namespace {

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    bool inside = false;
    for (const char c : python_lower(text)) {
        const bool belongs = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (belongs && !inside) words.emplace_back();
        if (belongs) words.back() += c;
        inside = belongs;
    }
    return words;
}

int64_t common_subsequence(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    std::vector<int64_t> longest(b.size() + 1);  // of what came of a so far and the beginnings of b
    for (const std::string& word : a) {
        int64_t before = 0;  // without this word, and without b's
        for (size_t j = 0; j < b.size(); ++j) {
            const int64_t here = longest[j + 1];
            longest[j + 1] = word == b[j] ? before + 1 : std::max(longest[j], here);
            before = here;
        }
    }
    return longest.back();
}

}  // namespace

double rouge_l(std::string_view hypothesis, std::span<const std::string> references) {
    if (references.empty()) fail("a text has no reference to be compared with");
    const std::vector<std::string> ours = words_of(hypothesis);
    double best = 0;
    for (const std::string& reference : references) {
        const std::vector<std::string> theirs = words_of(reference);
        const F1 score{common_subsequence(theirs, ours), static_cast<int64_t>(ours.size()),
                       static_cast<int64_t>(theirs.size())};
        best = std::max(best, score.f1());
    }
    return best;
}

}  // namespace nib

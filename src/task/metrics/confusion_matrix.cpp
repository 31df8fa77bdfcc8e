#include "task/metrics/confusion_matrix.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr size_t kWidest = 100;  // columns of a terminal
constexpr const char* kCorner = "actual \\ predicted";

std::string padded(const std::string& text, size_t width, bool right) {
    const std::string blanks(width - std::min(width, display_width(text)), ' ');
    return right ? blanks + text : text + blanks;
}

size_t widest(const std::vector<std::string>& texts) {
    size_t width = 0;
    for (const std::string& text : texts) width = std::max(width, display_width(text));
    return width;
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int64_t classes) {
    if (classes < 1) fail("there are no classes to tell apart");
    scores_.resize(static_cast<size_t>(classes));
}

void ConfusionMatrix::check(int64_t label) const {
    if (label < 0 || label >= classes())
        fail("class %lld is not one of 0 to %lld", static_cast<long long>(label), static_cast<long long>(classes() - 1));
}

void ConfusionMatrix::add(int64_t actual, int64_t predicted) {
    check(actual);
    check(predicted);
    const bool right = actual == predicted;
    ++counts_[{actual, predicted}];
    ++scores_[static_cast<size_t>(actual)].actual;
    ++scores_[static_cast<size_t>(predicted)].predicted;
    scores_[static_cast<size_t>(actual)].right += right;
    right_ += right;
    ++total_;
}

int64_t ConfusionMatrix::count(int64_t actual, int64_t predicted) const {
    check(actual);
    check(predicted);
    const auto found = counts_.find({actual, predicted});
    return found == counts_.end() ? 0 : found->second;
}

const F1& ConfusionMatrix::of(int64_t label) const {
    check(label);
    return scores_[static_cast<size_t>(label)];
}

double ConfusionMatrix::macro_f1() const {
    double sum = 0;
    int64_t seen = 0;
    for (const F1& score : scores_) {
        sum += score.f1();
        seen += score.actual + score.predicted > 0;
    }
    return seen == 0 ? 0 : sum / static_cast<double>(seen);
}

double ConfusionMatrix::matthews() const {
    const auto total = static_cast<double>(total_), right = static_cast<double>(right_);
    double both = 0, actual = 0, predicted = 0;  // sums of products of the counts of each class
    for (const F1& score : scores_) {
        const auto a = static_cast<double>(score.actual), p = static_cast<double>(score.predicted);
        both += a * p;
        actual += a * a;
        predicted += p * p;
    }
    const double spread = (total * total - predicted) * (total * total - actual);
    return spread == 0 ? 0 : (right * total - both) / std::sqrt(spread);
}

std::string ConfusionMatrix::table(std::span<const std::string> names) const {
    if (names.size() != scores_.size()) fail("%zu names for %zu classes", names.size(), scores_.size());
    std::vector<std::string> rows, heads;
    for (const std::string& name : names) rows.push_back(printable(name, 40));
    size_t width = std::to_string(total_).size();
    const size_t columns = names.size();
    if (const size_t named = std::max(width, widest(rows)); (columns + 1) * (named + 2) <= kWidest) {
        heads = rows;
    } else {
        for (size_t i = 0; i < columns; ++i) {
            heads.push_back(std::to_string(i));
            rows[i] = heads[i] + " " + rows[i];
        }
    }
    width = std::max(width, widest(heads));
    const size_t first = std::max(widest(rows), display_width(kCorner));
    std::string text = padded(kCorner, first, false);
    for (const std::string& head : heads) text += "  " + padded(head, width, true);
    for (size_t i = 0; i < columns; ++i) {
        text += "\n" + padded(rows[i], first, false);
        for (size_t j = 0; j < columns; ++j)
            text += "  " + padded(std::to_string(count(static_cast<int64_t>(i), static_cast<int64_t>(j))), width, true);
    }
    return text + "\n";
}

}  // namespace nib

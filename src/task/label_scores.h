// What the labels that a model gives to texts are worth.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "task/metrics/confusion_matrix.h"
#include "task/metrics/multi_label.h"
#include "task/metrics/tag_spans.h"
#include "task/task.h"

namespace nib {

/// Accuracy, F1 (of the second of two labels, else the mean over labels) and Matthews correlation; the one called `metric`
/// comes first.
std::vector<Score> class_scores(const ConfusionMatrix& matrix, const std::string& metric = "");

/// Micro and macro F1 and the share of texts with exactly their labels, where a text has any number of them.
std::vector<Score> multi_label_scores(const MultiLabelScores& labels, const std::string& metric = "");

/// Of a head of several labels: those whose probability, the sigmoid of the logit, is as high.
std::vector<int32_t> labels_above(std::span<const float> logits, double threshold = 0.5);

/// Spearman's and Pearson's correlation; 0 if a number is not finite.
std::vector<Score> number_scores(std::span<const double> actual, std::span<const double> found,
                                 const std::string& metric = "");

/// Moves the score of this name, if there is one, to the front.
void put_first(std::vector<Score>& scores, const std::string& name);

/// F1 of the spans that tags make, and how many tags are right.
std::vector<Score> tag_scores(const TagScores& tags);

}  // namespace nib

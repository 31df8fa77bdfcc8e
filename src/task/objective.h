// What a head of a model is trained for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/graph.h"

namespace nib {

enum class Loss {
    CrossEntropy,  // of the targets that a head chooses from
    Squared,       // (v - t)^2 of numbers, of which a row has one for each output of the head
    Binary,        // of the sigmoid of each output and its target, 0 or 1: any number of the outputs may be true
    Contrast,      // a row is a text, one that is like it and perhaps one that is not: of all second and third texts of the
                   // batch the own second one is to be nearest, by the cosine of embeddings (Graph::contrastive_loss)
    Preference,    // a row is two texts, of which the first is to have the higher score (Graph::preference_loss)
    Policy,        // of tokens that the model wrote itself, each with an advantage and a weight (Graph::policy_loss); the
                   // weights say it all: it is a sum, not a mean
    Span,          // among the tokens of a row, of which tokens a span begins and ends with: the target is where the span
                   // begins, and says which token of the row is its last (Graph::span_loss)
};

/// The loss of a step is the sum of its objectives' means over their targets, each times its weight.
struct Objective {
    std::string head = "lm";  // Model::head; of Contrast none
    Loss loss = Loss::CrossEntropy;
    double weight = 1;      // of the first 1
    double share = 1;       // of all tokens, about, that have a target; below 1 the head is computed for those alone
    bool of_rows = false;   // a row counts as one, whatever its targets; the head is computed for those alone
    float temperature = 1;  // of Contrast: cosines are divided by it
    Graph::PreferenceOptions preference{};
    Graph::PolicyOptions policy{};
    bool ratios = true;  // of Policy: compared with the policy that wrote the tokens; false: REINFORCE
    /// Of Policy: if not 0, a value function (Weights::value_head) is learned beside it, by so many times half the squared
    /// error of its values, which is clipped as Graph::value_loss says where value_clip is not 0.
    float value_weight = 0, value_clip = 0;
    bool beside = false;    // of Policy: rows have a text beside each answer, which the second objective is of
    bool weighted = false;  // rows count as much as TaskRow::weight says, of CrossEntropy and rows; the first one only

    /// How many texts of the model's context a row has room for.
    int64_t texts_of_row() const { return loss == Loss::Preference || beside ? 2 : 1; }
    /// Whether targets are numbers, of which a row has one for each output.
    bool in_numbers() const { return loss == Loss::Squared || loss == Loss::Binary; }
    bool sparse() const { return of_rows || share < 1; }
};

/// What Policy takes beside each target, all of (B*T): as Graph::PolicyInputs has them and, of a value function, what a
/// token was worth in the end and what the policy that wrote it took it to be worth.
template <class T>
struct OfPolicy {
    T advantages{}, weights{}, old{}, reference{}, returns{}, old_values{};
    template <class Make>
    auto map(const Make& make) {
        using Made = decltype(make(advantages));
        return OfPolicy<Made>{make(advantages), make(weights), make(old), make(reference), make(returns), make(old_values)};
    }
};
using PolicyNumbers = OfPolicy<std::span<const float>>;

/// A task has one objective or two.
constexpr size_t kMostObjectives = 2;

/// How many targets each objective has.
using TargetCounts = std::array<int64_t, kMostObjectives>;

}  // namespace nib

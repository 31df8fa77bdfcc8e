// What an objective adds to the graph of a training: its loss, the inputs that say what the loss is of, and what can be
// read after a run. Each Loss (task/objective.h) has a file of its own here.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/plan.h"
#include "model/packed_inputs.h"
#include "task/objective.h"
#include "train/memory.h"

namespace nib {

/// What a batch of B rows of T tokens says of one objective.
struct LossBatch {
    std::span<const int32_t> targets{};  // (B*T), kIgnore where there is none
    std::span<const int32_t> packed{};   // the same by rows of hidden states; of models with an encoder none
    std::span<const float> numbers{};    // (B*N)
    std::span<const float> weights{};    // (B): of a weighted objective, of each row
    PolicyNumbers policy{};
    RaggedRows ragged{};
    int64_t rows = 0;  // of hidden states that are in use
    float weight = 1;  // of each target, of all objectives but the first
};

/// What an evaluation finds.
struct LossSum {
    double sum = 0;     // nats
    int64_t rows = 0;   // counted targets
    double weight = 0;  // how much they count together, by which the sum is divided for a mean
    /// Of a sparse objective what the head takes for most probable, for each counted target in their order. Valid until
    /// the next evaluation.
    std::span<const int32_t> predicted{};
    /// Likewise, N for each: of an objective of numbers; of Contrast the cosines of first and second texts, and `predicted`
    /// is 1 where that is the largest; of Preference the two scores of each pair; of
    /// Span the logits (T,2) of each row of tokens, one row after the other.
    std::span<const float> numbers{};
};

/// What is worth telling about a micro-batch beside its loss: a mean over some number of targets.
struct Figure {
    const char* name;
    double sum = 0, count = 0;
};

class LossInputs {
public:
    virtual ~LossInputs() = default;
    /// Fills in the inputs. Error for targets that the head does not have.
    virtual void set(const Plan& plan, const LossBatch& batch, Step& step) = 0;
    /// After a run: the losses of all targets, added up.
    virtual double sum(const Plan& plan);

    /// After an evaluation: what was predicted.
    virtual void read(const Plan&, LossSum&) {}
    /// After a micro-batch: adds its figures.
    virtual void figures(const Plan&, std::vector<Figure>&) const {}

protected:
    /// The loss of each of up to `most` targets, or minus that.
    void computes(Tensor loss, int64_t most, bool negative);

    /// Of a weighted objective: how much each target counts, in their order; of others none.
    std::vector<float> counts_for_;
    int64_t rows_ = 0;  // targets that a step computes

private:
    Tensor loss_;
    bool negative_ = false;
    std::vector<float> losses_;  // (most)
};

/// The rows of hidden states that have a target, as a head takes them that is computed for those alone.
class ChosenRows {
public:
    ChosenRows() = default;
    ChosenRows(Graph& g, int64_t most);
    Tensor gather(Graph& g, Tensor hidden) const { return g.gather(hidden, rows_, count_); }
    /// Sets them; returns how many a step computes, which are one at least. Error when there are more than `most`.
    int64_t set(const Plan& plan, std::span<const int32_t> packed, Step& step);
    /// The targets of those rows, kIgnore where they are not in use.
    std::span<const int32_t> targets() const { return chosen_targets_; }
    int64_t most() const { return most_; }
    RowCount count() const { return count_; }

private:
    int64_t most_ = 0;
    Tensor rows_;  // (most) int32
    RowCount count_ = -1;
    std::vector<int32_t> chosen_, chosen_targets_;  // (most)
};

/// What the loss of an objective is recorded from.
struct LossSource {
    Graph& g;
    const Model& model;
    const Weights& weights;
    const TrainShape& shape;
    size_t number;             // of the objective
    Tensor hidden;             // (B,T,C) or, with ragged rows or an encoder, (1,B*T,C)
    RowCount row_count = -1;   // of ragged rows
    Tensor paired_targets{};   // of models with an encoder
    bool usual_share = false;  // of sparse objectives as many rows as usually have a target, not all: for an estimate

    const Objective& objective() const { return shape.objectives[number]; }
    bool trains() const { return g.mode() == Mode::Train; }
    /// How many targets a sparse objective has room for: all that there could be, or as many as there usually are.
    int64_t most() const { return objective().of_rows ? shape.batch : most_tokens(); }
    int64_t most_tokens() const;
};

/// Records the loss of an objective.
std::unique_ptr<LossInputs> record_loss(const LossSource& source);

// Made by record_loss.
std::unique_ptr<LossInputs> record_token_loss(const LossSource& source);
std::unique_ptr<LossInputs> record_number_loss(const LossSource& source);
std::unique_ptr<LossInputs> record_contrast(const LossSource& source);
std::unique_ptr<LossInputs> record_span(const LossSource& source);
std::unique_ptr<LossInputs> record_preference(const LossSource& source);
std::unique_ptr<LossInputs> record_policy(const LossSource& source);

/// How many of these are not kIgnore.
int64_t count_targets(std::span<const int32_t> targets);

}  // namespace nib

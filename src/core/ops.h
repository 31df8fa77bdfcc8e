// What the core knows of each op: how its work divides, and its backward rule.
#pragma once

#include "core/graph.h"

namespace nib {

const char* op_name(Op op);

/// Units that an op's work divides into (table in core/op.h), B*T rows, B*H heads, columns or blocks.
int64_t op_units(Op op, const Params& p);

/// The same for this run, which may have fewer rows.
int64_t op_units(const Call& call);

/// Units of one sequence, if the op computes each sequence of the batch from that sequence alone; else 0.
int64_t op_units_per_sequence(Op op, const Params& p);

/// Whether all its outputs are gradients of weights, which nothing else in the backward pass reads.
bool op_is_weight_gradient(Op op);

/// Whether what stands in output i before the call matters: it is added to, updated, or a cache that is written in part.
bool op_reads_output(const Call& call, int i);

/// Appends the backward nodes of forward node `node`, whose output has a gradient.
void record_backward(Graph& g, const Node& node);

}  // namespace nib

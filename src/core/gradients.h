// The gradient rules that core/op_table.inc names.
#pragma once

namespace nib {

class Graph;
struct Node;

/// Each appends the backward nodes of `node`, whose first output has a gradient.
void embed_gradient(Graph& g, const Node& node);
void norm_gradient(Graph& g, const Node& node);
void linear_gradient(Graph& g, const Node& node);
void linear_epilogue_gradient(Graph& g, const Node& node);
void glu_gradient(Graph& g, const Node& node);
void rope_gradient(Graph& g, const Node& node);
void attention_gradient(Graph& g, const Node& node);
void gather_gradient(Graph& g, const Node& node);
void mean_rows_gradient(Graph& g, const Node& node);
void normalize_gradient(Graph& g, const Node& node);
void similarity_gradient(Graph& g, const Node& node);

}  // namespace nib

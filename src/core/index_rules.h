// What the numbers in an input may be, so that no kernel reads outside a tensor or finds its rows out of order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/graph.h"

namespace nib {

/// How the nodes of a plan use a tensor of I32.
struct IndexRule {
    Tensor tensor;
    Types types = Types::Index;  // an index, target or spans
    int64_t limit = 0;           // the size of the dimension that it counts
};

/// The rules of all tensors, one for each tensor and use.
std::vector<IndexRule> index_rules(std::span<const TensorInfo> tensors, std::span<const Node> nodes);

/// Error, with the tensor's name and the place, for values that break the rule.
void check_indices(const IndexRule& rule, const TensorInfo& info, std::span<const int32_t> values);

}  // namespace nib

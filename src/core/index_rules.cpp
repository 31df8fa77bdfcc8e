#include "core/index_rules.h"

#include <algorithm>

#include "core/error.h"

namespace nib {
namespace {

void check_numbers(const IndexRule& rule, const TensorInfo& info, std::span<const int32_t> values) {
    const int32_t lowest = rule.types == Types::Target ? kIgnore : 0;
    for (size_t i = 0; i < values.size(); ++i)
        if (values[i] < lowest || values[i] >= rule.limit)
            fail("input `%s`: number %zu is %d, and not one of %lld", info.name.c_str(), i, values[i],
                 static_cast<long long>(rule.limit));
}

void check_spans(const IndexRule& rule, const TensorInfo& info, std::span<const int32_t> values) {
    const auto rows_of_sequence = static_cast<size_t>(info.shape[-2]);
    const bool texts = rule.types == Types::Texts;
    for (size_t r = 0; 2 * r + 1 < values.size(); ++r) {
        const int32_t first = values[2 * r], end = values[2 * r + 1];
        if (first < 0 || end < first || end > rule.limit)
            fail("input `%s`: %s from %d to %d of %lld", info.name.c_str(),
                 strprintf(texts ? "text %zu has the rows" : "row %zu has the keys", r).c_str(), first, end,
                 static_cast<long long>(rule.limit));
        if (rule.types == Types::AnySpans || r % rows_of_sequence == 0) continue;
        if (texts && first < values[2 * r - 1])
            fail("input `%s`: text %zu begins before the one before it ends", info.name.c_str(), r);
        if (first < values[2 * r - 2] || end < values[2 * r - 1])
            fail("input `%s`: the keys of row %zu begin or end before those of the row before it", info.name.c_str(), r);
    }
}

}  // namespace

std::vector<IndexRule> index_rules(std::span<const TensorInfo> tensors, std::span<const Node> nodes) {
    std::vector<IndexRule> rules;
    for (const Node& node : nodes)
        for (int i = 0; i < kMaxIn; ++i) {
            const Operand& operand = op_info(node.op).operands[i];
            if (!node[i] || !is_index(operand.types)) continue;
            const int base = tensors[static_cast<size_t>(node[i].id)].base;
            const IndexRule rule{base >= 0 ? Tensor{base} : node[i], operand.types, dimension(node.p, operand.counts())};
            const auto known = std::find_if(rules.begin(), rules.end(), [&](const IndexRule& other) {
                return other.tensor == rule.tensor && other.types == rule.types;
            });
            if (known == rules.end())
                rules.push_back(rule);
            else
                known->limit = std::min(known->limit, rule.limit);
        }
    return rules;
}

void check_indices(const IndexRule& rule, const TensorInfo& info, std::span<const int32_t> values) {
    is_spans(rule.types) ? check_spans(rule, info, values) : check_numbers(rule, info, values);
}

}  // namespace nib

// What must hold in every compiled plan.
#pragma once

#include <gtest/gtest.h>

#include "core/op_table.h"
#include "core/plan.h"

namespace nib::test {

struct Bytes {
    int buffer;
    size_t begin, end;
};

inline Bytes bytes_of(const Plan& plan, Tensor t) {
    const TensorInfo& info = plan.tensors[static_cast<size_t>(t.id)];
    return {info.where.buffer, info.where.offset, info.where.offset + info.bytes()};
}

inline bool overlap(const Bytes& a, const Bytes& b) { return a.buffer == b.buffer && a.begin < b.end && b.begin < a.end; }

inline int root(const Plan& plan, Tensor t) {
    const int base = plan.tensors[static_cast<size_t>(t.id)].base;
    return base >= 0 ? base : t.id;
}

// Whether two tensors are the same values or parts of them, as opposed to two that use the same memory at different times.
inline bool same_values(const Plan& plan, Tensor a, Tensor b) {
    return a && b && root(plan, a) == root(plan, b) && overlap(bytes_of(plan, a), bytes_of(plan, b));
}

inline bool depend(const Plan& plan, const Node& a, const Node& b) {
    const auto any = [&](const auto& xs, const auto& ys) {
        for (const Tensor x : xs)
            for (const Tensor y : ys)
                if (same_values(plan, x, y)) return true;
        return false;
    };
    return any(a.outputs(), b.inputs()) || any(a.outputs(), b.outputs()) || any(a.inputs(), b.outputs());
}

inline void check_schedule(const Plan& plan) {
    const auto n = plan.nodes.size();
    std::vector<int> stage(n, -1), position(n, -1);
    int order = 0;
    for (size_t s = 0; s < plan.stages.size(); ++s)
        for (const int i : plan.stages[s].nodes) {
            ASSERT_EQ(stage[static_cast<size_t>(i)], -1) << "node " << i << " is scheduled twice";
            stage[static_cast<size_t>(i)] = static_cast<int>(s);
            position[static_cast<size_t>(i)] = order++;
        }
    ASSERT_EQ(static_cast<size_t>(order), n);
    for (size_t i = 0; i < n; ++i) {
        const Stage& mine = plan.stages[static_cast<size_t>(stage[i])];
        if (mine.sequences > 0) {
            const Node& node = plan.nodes[i];
            ASSERT_EQ(op_units_per_sequence(node.op, node.p) * mine.sequences, op_units(node.op, node.p));
        }
        for (size_t j = i + 1; j < n; ++j)
            if (depend(plan, plan.nodes[i], plan.nodes[j])) {
                ASSERT_LE(stage[i], stage[j]) << op_name(plan.nodes[i].op) << " and " << op_name(plan.nodes[j].op);
                if (stage[i] != stage[j]) continue;
                ASSERT_GT(mine.sequences, 0) << op_name(plan.nodes[i].op) << " and " << op_name(plan.nodes[j].op)
                                             << " are shared out at the same time";
                ASSERT_LT(position[i], position[j]);
            }
    }
}

inline void check_arena(const Plan& plan) {
    struct Life {
        int first = -1, last = -1;
    };
    std::vector<Life> lives(plan.tensors.size());
    for (size_t s = 0; s < plan.stages.size(); ++s)
        for (const int i : plan.stages[s].nodes) {
            const auto touch = [&](Tensor t) {
                if (!t) return;
                Life& life = lives[static_cast<size_t>(root(plan, t))];
                if (life.first < 0) life.first = static_cast<int>(s);
                life.last = static_cast<int>(s);
            };
            for (const Tensor t : plan.nodes[static_cast<size_t>(i)].operands) touch(t);
        }
    size_t together = 0;
    for (size_t i = 0; i < lives.size(); ++i) {
        const TensorInfo& info = plan.tensors[i];
        if (info.persistent) lives[i] = {0, static_cast<int>(plan.stages.size())};
        if (info.base >= 0 || info.where.buffer != plan.arena->buffer() || lives[i].first < 0) continue;
        together += info.bytes();
        ASSERT_EQ(info.where.offset % 64, 0u);
        ASSERT_LE(info.where.offset + info.bytes(), plan.arena_bytes);
        for (size_t j = 0; j < i; ++j) {
            if (plan.tensors[j].base >= 0 || plan.tensors[j].where.buffer != plan.arena->buffer() || lives[j].first < 0)
                continue;
            if (lives[j].last < lives[i].first || lives[i].last < lives[j].first) continue;
            ASSERT_FALSE(overlap(bytes_of(plan, {static_cast<int>(i)}), bytes_of(plan, {static_cast<int>(j)})))
                << "tensors " << j << " and " << i << "\n"
                << plan.text();
        }
    }
    EXPECT_LT(plan.arena_bytes, together) << "nothing was reused";
}

}  // namespace nib::test

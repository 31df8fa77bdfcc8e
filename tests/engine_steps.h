// Steps of an engine that tests take often.
#pragma once

#include <span>
#include <vector>

#include "infer/engine.h"

namespace nib::test {

/// Appends a token to each slot; the logits (N,V) after them.
inline std::span<const float> decode(Engine& engine, std::span<const int32_t> tokens) {
    std::vector<EngineRow> rows;
    for (const int32_t token : tokens) {
        const auto slot = static_cast<int32_t>(rows.size());
        rows.push_back({token, slot, engine.length(slot), true});
    }
    return engine.step(rows);
}

/// The logits (T,V) after each token of a text, which slot 0 has afterwards.
inline std::span<const float> all_logits(Engine& engine, std::span<const int32_t> tokens) {
    std::vector<EngineRow> rows;
    for (const int32_t token : tokens) rows.push_back({token, 0, static_cast<int64_t>(rows.size()), true});
    return engine.step(rows);
}

}  // namespace nib::test

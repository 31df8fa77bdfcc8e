// A small model of every family, and texts that it can learn by heart.
#pragma once

#include <cstdint>
#include <vector>

#include "model/architecture.h"

namespace nib::test {

constexpr int64_t kTexts = 10, kLength = 12, kVocab = 31;

/// A small model of a family.
inline ModelConfig small_config(const Architecture& family) {
    ModelConfig c;
    c.arch = family.name;
    family.defaults(c);
    c.layers = 2, c.heads = 4, c.embd = 32, c.context = kLength, c.vocab = kVocab;
    if (c.rope.dimensions > 0 || c.act == Act::Silu) c.kv_heads = 2;
    if (family.may_be_local) c.attention.window = 4;
    if (family.encoder_only)
        c.task_heads = {
            {"mlm", c.vocab, {}}
        };
    family.complete(c);
    return c;
}

/// Ten short texts, each of which begins with a token of its own, so that all that follows can be known.
struct Texts {
    std::vector<int32_t> ids, targets;
    std::vector<int32_t> lengths;  // of the texts as their own sources, where a model reads some
    Texts() {
        for (int64_t i = 0; i < kTexts; ++i)
            for (int64_t t = 0; t < kLength; ++t) {
                const auto token = [&](int64_t at) { return at == 0 ? i : 10 + (i * i + 7 * i * at + 3 * at * at) % 21; };
                ids.push_back(static_cast<int32_t>(token(t)));
                targets.push_back(static_cast<int32_t>(token(t + 1)));
            }
        for (int64_t i = 0; i < kTexts; ++i) lengths.push_back(static_cast<int32_t>(1 + i));
    }
};

}  // namespace nib::test

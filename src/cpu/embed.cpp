// Token and position embeddings, and copying of rows. Formulas: src/ref/embed.cpp.
#include "cpu/dropout.h"
#include "cpu/formats.h"

namespace nib::cpu::NIB_ISA {

namespace {

// out += row, whose values are of any type.
void add_row(DType type, const void* row, int64_t C, float* out) {
    constexpr int64_t kPart = 256;  // whole blocks of every type
    float part[kPart];
    for (int64_t c = 0; c < C; c += kPart) {
        const int64_t count = least(kPart, C - c);
        unpack(type, row, c, count, part);
        for_each_vector(
            count, [&](int64_t i, auto get, auto put)
                       __attribute__((always_inline)) { put(out + c + i, get(out + c + i) + get(part + i)); });
    }
}

}  // namespace

void embed(const Call& call, Range rows, void*) {
    const auto* ids = call.input<int32_t>(0);        // (R)
    const auto* positions = call.input<int32_t>(1);  // (R)
    const void* wte = call.in[2];                    // (V,C) of type p.type
    const void* wpe = call.in[3];                    // (S,C) of type p.position_type, or null
    auto* y = call.output<float>(0);                 // (R,C)
    const int64_t C = call.p.C;
    const int64_t together = 1 + 4096 / C;  // rows in the cache between the two passes
    for (int64_t first = rows.begin; first < rows.end; first += together) {
        const int64_t end = least(rows.end, first + together);
        for (int64_t r = first; r < end; ++r) {
            float* out = y + r * C;
            unpack(call.p.type, row_of(call.p.type, wte, ids[r], C), 0, C, out);
            if (wpe) add_row(call.p.position_type, row_of(call.p.position_type, wpe, positions[r], C), C, out);
        }
        apply_dropout(call, static_cast<uint64_t>(first * C), (end - first) * C, y + first * C);
    }
}

void embed_backward(const Call& call, Range columns, void*) {
    const auto* dy = call.input<float>(0);           // (R,C)
    const auto* ids = call.input<int32_t>(1);        // (R)
    const auto* positions = call.input<int32_t>(2);  // (R)
    auto* dwte = call.output<float>(0);              // (V,C)
    auto* dwpe = call.output<float>(1);              // (S,C) or null
    const Params& p = call.p;
    const int64_t n = columns.end - columns.begin;
    const auto clear = [&](float* dw, int64_t count) __attribute__((always_inline)) {
        for (int64_t i = 0; i < count; ++i)
            __builtin_memset(dw + i * p.C + columns.begin, 0, static_cast<size_t>(n) * sizeof(float));
    };
    if (!call.adds_weight(0)) clear(dwte, p.N);
    if (dwpe && !call.adds_weight(1)) clear(dwpe, p.S);
    for (int64_t r = 0; r < p.B * p.T; ++r) {
        const int64_t at = r * p.C + columns.begin;
        const float* d = dy + at;
        float* token = dwte + ids[r] * p.C + columns.begin;
        float* position = dwpe ? dwpe + positions[r] * p.C + columns.begin : nullptr;
        const auto add = [&](int64_t c, vf factor, auto load, auto store) __attribute__((always_inline)) {
            const vf g = load(d + c) * factor;
            store(token + c, load(token + c) + g);
            if (position) store(position + c, load(position + c) + g);
        };
        if (p.dropout != 0)
            for_each_factor(call, static_cast<uint64_t>(at), n, add);
        else
            for_each_vector(
                n, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) { add(c, vf(1.0f), load, store); });
    }
}

void gather_rows(const Call& call, Range rows, void*) {
    const auto* x = call.input<float>(0);        // (R,C)
    const auto* which = call.input<int32_t>(1);  // (N)
    auto* y = call.output<float>(0);             // (N,C)
    const int64_t C = call.p.C;
    for (int64_t n = rows.begin; n < rows.end; ++n)
        __builtin_memcpy(y + n * C, x + which[n] * C, static_cast<size_t>(C) * sizeof(float));
}

}  // namespace nib::cpu::NIB_ISA

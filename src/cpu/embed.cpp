// Embeddings of tokens, positions and segments. Formulas: src/ref/embed.cpp.
#include "cpu/dropout.h"
#include "cpu/formats.h"

namespace nib::cpu::NIB_ISA {

namespace {

// out += row, with values of any type.
void add_row(DType type, const void* row, int64_t C, float* out) {
    constexpr int64_t kPart = 256;  // whole blocks of every type
    float part[kPart];
    for (int64_t c = 0; c < C; c += kPart) {
        const int64_t count = min(kPart, C - c);
        unpack(type, row, c, count, part);
        for_each_vector(
            count, [&](int64_t i, auto get, auto put)
                       __attribute__((always_inline)) { put(out + c + i, get(out + c + i) + get(part + i)); });
    }
}

}  // namespace

void embed(const Call& call, Range rows, void*) {
    using O = operand::Embed;
    auto* y = call.output<float>(O::y);  // (R,C)
    const int64_t C = call.p.C;
    const auto row_of_table = [&](int table, int numbers, int64_t r) {
        return row_of(call.type[table], call.data[table], call.input<int32_t>(numbers)[r], C);
    };
    const int64_t together = 1 + 4096 / C;  // rows that stay in the cache between the two passes
    for (int64_t first = rows.begin; first < rows.end; first += together) {
        const int64_t end = min(rows.end, first + together);
        for (int64_t r = first; r < end; ++r) {
            float* out = y + r * C;
            unpack(call.type[O::wte], row_of_table(O::wte, O::ids, r), 0, C, out);
            if (call.p.scale != 1)
                for_each_vector(C, [&](int64_t c, auto get, auto put) { put(out + c, get(out + c) * vf(call.p.scale)); });
            if (call.has(O::wpe)) add_row(call.type[O::wpe], row_of_table(O::wpe, O::positions, r), C, out);
            if (call.has(O::wse)) add_row(call.type[O::wse], row_of_table(O::wse, O::segments, r), C, out);
        }
        apply_dropout(call, static_cast<uint64_t>(first * C), (end - first) * C, y + first * C);
    }
}

void embed_backward(const Call& call, Range columns, void*) {
    using O = operand::EmbedBackward;
    const Params& p = call.p;
    const int64_t n = columns.end - columns.begin;
    struct Table {
        const int32_t* numbers;
        float* gradient;  // (rows,C) from the first column on, or null
        float scale;
    };
    const auto table = [&](int numbers, int gradient, int64_t rows, float scale) {
        float* dw = call.has(gradient) ? call.output<float>(gradient) + columns.begin : nullptr;
        for (int64_t i = 0; dw && !call.adds_weight(gradient) && i < rows; ++i)
            __builtin_memset(dw + i * p.C, 0, static_cast<size_t>(n) * sizeof(float));
        return Table{call.input<int32_t>(numbers), dw, scale};
    };
    const Table tables[] = {table(O::ids, O::dwte, p.N, p.scale), table(O::positions, O::dwpe, p.S, 1.0f),
                            table(O::segments, O::dwse, p.L, 1.0f)};
    for (int64_t r = 0; r < call.rows(); ++r) {
        const int64_t at = r * p.C + columns.begin;
        const float* d = call.input<float>(O::dy) + at;
        for (const Table& t : tables) {
            if (!t.gradient) continue;
            float* sum = t.gradient + t.numbers[r] * p.C;
            const auto add = [&](int64_t c, vf factor, auto load, auto store) __attribute__((always_inline)) {
                store(sum + c, load(sum + c) + load(d + c) * factor * vf(t.scale));
            };
            if (p.dropout != 0)
                for_each_factor(call, static_cast<uint64_t>(at), n, add);
            else
                for_each_vector(
                    n, [&](int64_t c, auto load, auto store)
                           __attribute__((always_inline)) { add(c, vf(1.0f), load, store); });
        }
    }
}

}  // namespace nib::cpu::NIB_ISA

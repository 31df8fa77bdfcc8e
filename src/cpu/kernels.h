// All kernels, which table.cpp collects. An instruction set that only adds to another one (NIB_BASE), as VNNI does to
// AVX-512, compiles only the files that benefit, and takes the other kernels from NIB_BASE.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/op.h"

#ifndef NIB_BASE
#define NIB_BASE NIB_ISA
#endif

namespace nib::cpu::NIB_BASE {

#define OP(Name, name, ...) void name(const Call&, Range, void*);
#include "core/op_table.inc"
void linear_many_rows(const Call&, Range, void*);  // `linear` for weights that are not in blocks
void linear_few_rows(const Call&, Range, void*);
// Up to so many rows it is faster, since it packs nothing; it sums in another order. But it converts f16 anew for every few
// rows, which costs SSE much.
#if defined(__AVX512BW__)
constexpr int64_t kFewFloatRows = 48;
#elif defined(__AVX2__) || defined(__aarch64__)
constexpr int64_t kFewFloatRows = 24;
#else
constexpr int64_t kFewFloatRows = 16;
#endif

// Entries of KernelTable, for these ops.
size_t linear_scratch_bytes(const Call&);
size_t linear_packed_bytes(const Call&);
int64_t linear_pack_units(const Call&);
void linear_pack(const Call&, Range, void*);
size_t attention_scratch_bytes(const Call&);

/// Converts values [first, first + count) of a row of `type`, whole blocks, to the same floats as quant::unpack.
void unpack(DType type, const void* row, int64_t first, int64_t count, float* out);

// For benchmarks.
double peak_flops(int64_t rounds, float* sink);
float read_memory(const float* data, int64_t count);

}  // namespace nib::cpu::NIB_BASE

namespace nib::cpu::NIB_ISA {

void linear(const Call&, Range, void*);
// With weights in blocks: few rows of x are quantized into the start of the scratch memory, many rows are packed in place
// of the weights.
size_t linear_blocks_scratch_bytes(const Call&);
void linear_blocks_prepare(const Call&, void* scratch);
size_t linear_blocks_packed_bytes(const Call&);
int64_t linear_blocks_pack_units(const Call&);
bool linear_blocks_same_packing(const Call&, const Call&);
void linear_blocks_pack(const Call&, Range, void*);

}  // namespace nib::cpu::NIB_ISA

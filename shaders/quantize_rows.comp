// Before linear on weights in blocks: rounds each run of D numbers of x to multiples of its largest / 127, as if quantized to 8
// bits (src/quant/quantize.h), but keeps them as floats. One invocation per run.
#version 450
#include "common.glsl"

TENSOR(Linear_x, readonly restrict, float, x);         // (R,C)
TENSOR(kScratch, writeonly restrict, float, rounded);  // (R,C)

/// a / b correctly rounded, which Vulkan's own division is not. The remainder corrects it; its products of 12-bit halves
/// are exact (Dekker 1971).
float divide(float a, float b) {
    precise const float q = a / b;
    precise const float q_high = uintBitsToFloat(floatBitsToUint(q) & ~0xFFFu), q_low = q - q_high;
    precise const float b_high = uintBitsToFloat(floatBitsToUint(b) & ~0xFFFu), b_low = b - b_high;
    precise const float rest = a - q_high * b_high - q_high * b_low - q_low * b_high - q_low * b_low;
    return q + rest / b;
}

void main() {
    const uint first = (group() * W + gl_LocalInvocationIndex) * D;
    if (first >= live_rows() * p.C) return;
    uint bits = 0;
    for (uint i = 0; i < D; ++i) bits = max(bits, floatBitsToUint(AT(x, first + i)) & 0x7FFFFFFFu);
    const float largest = uintBitsToFloat(bits);
    const bool finite = bits < 0x7F800000u, zero = bits < 0x0D800000u;  // 2^-100
    const float scale = divide(largest, 127.0), inverse = divide(127.0, largest);
    for (uint i = 0; i < D; ++i) {
        precise const float level = AT(x, first + i) * inverse;
        AT(rounded, first + i) = zero ? 0.0 : finite ? scale * roundEven(level) : uintBitsToFloat(0x7FC00000u);
    }
}

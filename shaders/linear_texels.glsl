// The product behind linear and its gradients for devices that are CPUs: STORE(i, j, four sums over k < K of left times right,
// for columns j to j + 3) for i < I, j < J. Their drivers read texel buffers four floats of each invocation at once, but
// storage buffers float by float, and memory that a workgroup shares no faster. So every invocation reads for itself what it
// needs for D x 8 sums; a workgroup has some above each other if D is 8, otherwise all side by side. LEFT_ROWS: LEFT(i,k) has four numbers k to k + 3, otherwise
// LEFT(k,i) has i to i + 3; the same for RIGHT with j. Defined before gemm(): these, STORE, and perhaps ROW_SUM(i, sum of left).
const uint kAcross = D == 8 ? 2 : W;

// Numbers column to column + 3 of a row of tensor i, whose rows have `length` numbers; 0 from `end` on.
#define TEXELS(i, name)                                                                        \
    layout(binding = i + 1) uniform samplerBuffer name##_texels;                               \
    vec4 name(uint row, uint length, uint column, uint end) {                                  \
        const uint at = p.shift[i] + row * length;                                             \
        if (in_fours(i)) return texelFetch(name##_texels, int((at + min(column, end - 4)) / 4)); \
        vec4 four;                                                                             \
        for (uint q = 0; q < 4; ++q) {                                              \
            const float number = texelFetch(name##_texels, int(at + min(column + q, end - 1))).x; \
            four[q] = column + q < end ? number : 0.0;                                         \
        }                                                                                      \
        return four;                                                                           \
    }

#include "fours.glsl"

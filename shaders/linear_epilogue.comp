// y[i] = residual[i] + dropout(act(pre[i])), where there is no pre of y itself: what follows linear_texels where there is
// dropout, whose masks take fewest random numbers here.
#version 450
#include "common.glsl"
#include "texels.glsl"

TEXELS(3, residual)  // (R,N)
FOURS(5, y)          // (R,N)
TEXELS(6, pre)       // (R,N)

#include "activation.glsl"
#include "dropout_fours.glsl"

void main() {
    const uint end = run_rows() * p.N;
    FOR_DROPOUT_FOURS(i, end, factors, {
        const vec4 from = has(6) ? get_pre(i, end) : get_y(i, end);
        vec4 sum;
        for (uint q = 0; q < 4; ++q) sum[q] = activate(D % 4, from[q]);
        sum *= factors;
        put_y(i, end, has(3) ? get_residual(i, end) + sum : sum);
    })
}

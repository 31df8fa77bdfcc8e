// dpre[i] = dropout(dy[i]) act'(pre[i]), in place where dpre is dy.
FOURS(5, dpre)  // (R,N)

#include "activation.glsl"
#include "dropout_fours.glsl"

void main() {
    const uint end = run_rows() * p.N;
    FOR_DROPOUT_FOURS(i, end, factors, {
        vec4 d = get_dy(i, end) * factors;
        if (D % 4 != 0) {
            const vec4 from = get_pre(i, end);
            for (uint q = 0; q < 4; ++q) d[q] *= activate_derivative(D % 4, from[q]);
        }
        put_dpre(i, end, d);
    })
}

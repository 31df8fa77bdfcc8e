// dgate = dy up act'(gate),  dup = dy act(gate). One workgroup per row.
#version 450
#include "common.glsl"
#include "activation.glsl"

TENSOR(GluBackward_dy, readonly restrict, float, dy);      // (R,C)
TENSOR(GluBackward_gate, readonly restrict, float, gate);  // (R,C)
TENSOR(GluBackward_up, readonly restrict, float, up);      // (R,C)
TENSOR(GluBackward_dgate, restrict, float, dgate);         // (R,C)
TENSOR(GluBackward_dup, restrict, float, dup);             // (R,C)

void main() {
    const uint r = group();
    if (r >= live_rows()) return;
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) {
        const uint i = r * p.C + c;
        const float d = AT(dy, i), from = AT(gate, i);
        PUT(dgate, i, d * AT(up, i) * activate_derivative(kAct, from));
        PUT(dup, i, d * activate(kAct, from));
    }
}

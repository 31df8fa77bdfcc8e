// y = act(gate) up. One workgroup per row.
#version 450
#include "common.glsl"
#include "activation.glsl"

TENSOR(Glu_gate, readonly restrict, float, gate);  // (R,C)
TENSOR(Glu_up, readonly restrict, float, up);      // (R,C)
TENSOR(Glu_y, writeonly restrict, float, y);       // (R,C)

void main() {
    const uint r = group();
    if (r >= live_rows()) return;
    for (uint c = gl_LocalInvocationIndex; c < p.C; c += W) {
        const uint i = r * p.C + c;
        AT(y, i) = activate(kAct, AT(gate, i)) * AT(up, i);
    }
}

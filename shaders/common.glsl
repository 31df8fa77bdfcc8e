// Shared by all shaders: the constants and inputs that src/vulkan/dispatch.h describes, reductions and exponentials. SUBGROUPS is
// defined for devices with subgroup arithmetic. Subgroups may have any size and need not be full.
#ifdef SUBGROUPS
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 64;            // invocations of a workgroup
layout(constant_id = 1) const uint D = 64;            // meaning depends on the shader
layout(constant_id = 2) const uint kTypes0 = 0;       // DTypes of operands 0 to 5, five bits for each
layout(constant_id = 3) const uint kTypes1 = 0;       // of operands 6 to 11
layout(constant_id = 4) const uint kPresent = 0;      // bit i: operand i is there
layout(constant_id = 5) const uint kVec4Tensors = 0;  // bit i: operand i can be read and written as vec4
layout(constant_id = 6) const uint kDropout = 0;      // 1: there is dropout
layout(constant_id = 7) const uint kAct = 0;          // Act

layout(push_constant, std430) uniform Push {
    uint B, T, C, N, H, G, S, L;
    uint flags;
    uint dropout;     // probability in 1/65536
    uint stream;      // which dropout mask
    uint begin, end;  // rows of the weight matrix that this dispatch binds, of (N,C)
    uint first;       // number of this dispatch's first workgroup
    uint first_row;   // of a view: its first row within the whole tensor
    uint window;
    uint q_stride, k_stride, v_stride, d_stride;  // elements from row to row of q, k, v and of the gradient of one of them
    float eps, scale, smoothing, clip_low, clip_high, beta, entropy_weight;
    uint shifts[4];  // a byte for each tensor: elements between the start of a binding and its tensor; bytes if it is in blocks
} p;

layout(binding = 0, std430) readonly restrict buffer StepValues {
    uint seed[2];  // low word first
    uint index, accumulate;
    uint rows[4];
    float loss_scale, clip;
    float lr, beta1, beta2, eps, weight_decay, momentum, correction1, correction2;
} step_values;

// Operands of ops, by name: Linear_x is 0, Linear_y is kMaxIn. Generated from core/op_table.inc.
const int kMaxIn = 8, kMaxOperands = 12;
#include "operands.glsl"

/// Scratch memory is bound like one more operand.
const int kScratch = kMaxOperands;

// Declares an operand, by its number, or scratch memory. `access` is readonly for inputs, writeonly for outputs that are never
// read, and restrict unless the op may run in place on this tensor.
#define TENSOR(operand, access, type, name) \
    const int name##_operand = operand;     \
    layout(binding = operand + 1, std430) access buffer name##_block { type name##_data[]; }
#define AT(name, index) name##_data[SHIFT(name) + (index)]
#define SHIFT(name) shift(name##_operand)
/// Stores x, or adds it where the gradient adds.
#define PUT(name, index, x) AT(name, index) = (adds(name##_operand) ? AT(name, index) : 0.0) + (x)
#define HAS(name) has(name##_operand)
#define TYPE(name) type_of(name##_operand)

// DType
const uint kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ5_0 = 6, kQ5_1 = 7, kQ8_0 = 8;
const uint kQ2_K = 10, kQ3_K = 11, kQ4_K = 12, kQ5_K = 13, kQ6_K = 14, kBF16 = 30;
const float kLowest = -3.402823466e38;

uint shift(int operand) { return p.shifts[operand / 4] >> operand % 4 * 8 & 255u; }
bool has(int operand) { return (kPresent >> operand & 1u) != 0u; }
bool is_vec4(int operand) { return (kVec4Tensors >> operand & 1u) != 0u; }
uint type_of(int operand) { return (operand < 6 ? kTypes0 : kTypes1) >> operand % 6 * 5 & 31u; }

#define FLAG(name, bit) const uint name = bit;
#include "vulkan/flags.inc"

bool flag(uint bit) { return (p.flags >> bit & 1u) != 0u; }
bool is_causal() { return flag(kCausal); }
bool is_rms() { return flag(kRms); }
bool is_interleaved() { return flag(kInterleaved); }
bool is_inverse() { return flag(kInverse); }
bool has_decay() { return flag(kDecay); }
bool is_l2() { return flag(kL2); }
bool is_binary() { return flag(kBinary); }
uint preference() { return p.flags >> kPreferenceAt & 3u; }

/// Whether to add to an output rather than overwrite it. Gradients of weights also add up over micro-batches.
bool adds(int operand) {
    const uint output_number = operand - kMaxIn;
    return flag(kAdds + output_number) || flag(kAddsWeight + output_number) && step_values.accumulate != 0u;
}

/// Rows in use in this run among `all` rows from row `first` on. The flags at `bit` hold the index of the row count plus 1, or 0.
uint live(uint bit, uint all, uint first) {
    const uint count = p.flags >> bit & 15u;
    const uint rows = count == 0 ? 0 : step_values.rows[count - 1];
    return rows == 0 ? all : min(max(rows, first) - first, all);
}
/// Like Call::rows(), key_rows() and gathered_rows().
uint live_rows() { return live(kRowCountAt, p.B * p.T, p.first_row); }
uint live_key_rows() { return live(kKeyRowCountAt, p.B * p.S, 0); }
uint gathered_rows() { return live(kKeyRowCountAt, p.N, 0); }

/// Number of this workgroup.
uint group() { return p.first + gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

/// Converts f16 to float. unpackHalf2x16 may flush denormals.
float from_f16(uint h) {
    const uint exponent = h >> 10 & 31, sign = (h & 0x8000u) << 16, fraction = h & 1023;
    const float denormal = 5.9604644775390625e-8 * float(fraction);
    const uint normal = mix(exponent + 112 << 23, 0x7F800000u, exponent == 31) | fraction << 13;
    return uintBitsToFloat(sign | mix(normal, floatBitsToUint(denormal), exponent == 0));
}

/// Whether x is NaN. Drivers may compile isnan() to false. max, min and clamp of NaN and a number may give either, so a softmax
/// cannot rely on its maximum, but exp_of turns a score of NaN into a weight of NaN.
bool is_nan(float x) { return (floatBitsToUint(x) & 0x7FFFFFFFu) > 0x7F800000u; }

/// e^c for -88 <= c <= 89, relative error 2e-7; 0 below -87.7, infinity above 88.4.
float exp_within(float c) {
    const float n = round(c * 1.44269504);
    const float r = fma(n, 2.12194440e-4, fma(n, -0.693359375, c));
    float y = 1.9875691500e-4;
    y = fma(y, r, 1.3981999507e-3);
    y = fma(y, r, 8.3334519073e-3);
    y = fma(y, r, 4.1665795894e-2);
    y = fma(y, r, 1.6666665459e-1);
    y = fma(y, r, 5.0000001201e-1);
    return fma(y * r, r, r + 1.0) * uintBitsToFloat(uint(int(n) + 127) << 23);
}

/// The same for any x, NaN for NaN.
float exp_of(float x) { return mix(exp_within(clamp(x, -88.0, 89.0)), x, is_nan(x)); }

/// x if `condition` is true, else 0. Never a branch.
float only_if(bool condition, float x) { return mix(0.0, x, condition); }

// Sums and maxima over the workgroup; all of its invocations must call these together. Vulkan 1.1 does not guarantee that the
// invocations of a subgroup reconverge after a branch, so no earlier branch may diverge: all invocations loop equally often and
// mask what they add.
#ifdef SUBGROUPS

shared float reduced[2 * W];

/// Puts the value of each subgroup into reduced[gl_SubgroupID]. One invocation writes it; the others write to unused elements,
/// which avoids a branch.
void share(float of_subgroup) {
    barrier();  // others may still read the last values
    reduced[mix(W + gl_LocalInvocationIndex, gl_SubgroupID, subgroupElect())] = of_subgroup;
    barrier();
}

float sum_of_group(float x) {
    share(subgroupAdd(x));
    float sum = reduced[0];
    for (uint i = 1; i < gl_NumSubgroups; ++i) sum += reduced[i];
    return sum;
}

/// If any of the numbers is NaN, the result may be any of the numbers.
float max_of_group(float x) {
    share(subgroupMax(x));
    float largest = reduced[0];
    for (uint i = 1; i < gl_NumSubgroups; ++i) largest = max(largest, reduced[i]);
    return largest;
}

#else

shared float reduced[W];

float sum_of_group(float x) {
    const uint i = gl_LocalInvocationIndex;
    barrier();  // others may still read the last result
    reduced[i] = x;
    for (uint step = W / 2; step > 0; step /= 2) {
        barrier();
        if (i < step) reduced[i] += reduced[i + step];
    }
    barrier();
    return reduced[0];
}

float max_of_group(float x) {
    const uint i = gl_LocalInvocationIndex;
    barrier();
    reduced[i] = x;
    for (uint step = W / 2; step > 0; step /= 2) {
        barrier();
        if (i < step) reduced[i] = max(reduced[i], reduced[i + step]);
    }
    barrier();
    return reduced[0];
}

#endif

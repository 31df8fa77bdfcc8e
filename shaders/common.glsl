// What every shader shares: the constants and inputs that src/vulkan/dispatch.h describes, reductions and exponentials.
// SUBGROUPS is defined for devices that sum over subgroups, of any size, not all of them full.
#ifdef SUBGROUPS
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 64;             // invocations of a workgroup
layout(constant_id = 1) const uint D = 64;             // the shader says what it is
layout(constant_id = 2) const uint kType = 0;          // DType of the tensors that Params::type speaks of
layout(constant_id = 3) const uint kPositionType = 0;  // the same for Params::position_type
layout(constant_id = 4) const uint kFours = 0;         // bit i: tensor i can be read and written four numbers at once
layout(constant_id = 5) const uint kDrops = 0;         // 1 where there is dropout
layout(constant_id = 6) const uint kParts = 3;         // of some shaders: bit i: output i is computed
layout(constant_id = 7) const uint kAct = 0;           // Act
layout(constant_id = 8) const uint kResidual = 0;      // of linear: 1 where there is one
layout(constant_id = 9) const uint kHalves = 0;       // bit i: tensor i is an activation of half floats

struct Push {
    uint B, T, C, N, H, S;
    uint present;     // bit i: tensor i is there
    uint adds;        // bit i: output i is added to
    uint dropout;     // probability in 1/65536
    uint stream;      // which dropout mask
    uint begin, end;  // rows of the matrix that this dispatch binds, of (N,C)
    uint first;       // workgroup of this dispatch
    float eps;
    uint shift[8];  // elements between the start of a binding and its tensor; of tensors in blocks, bytes
};
layout(push_constant, std430) uniform PushBlock { Push push; };
Push p = push;

struct StepValues {
    uint seed[2];  // low word first
    uint index, accumulate, rows;
    float loss_scale, clip;
    float lr, beta1, beta2, eps, weight_decay, momentum, correction1, correction2;
};
layout(binding = 0, std430) readonly buffer StepBlock { StepValues step_block; };
StepValues step_values = step_block;

// Tensor i of the op: inputs are 0 to 4, outputs 5 to 7.
#define TENSOR(i, type, name) \
    layout(binding = i + 1, std430) buffer name##_block { type name##_data[]; }
#define AT(i, name, index) name##_data[p.shift[i] + (index)]

// DType
const uint kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ5_0 = 6, kQ5_1 = 7, kQ8_0 = 8;
const uint kQ2_K = 10, kQ3_K = 11, kQ4_K = 12, kQ5_K = 13, kQ6_K = 14, kBF16 = 30;
const float kLowest = -3.402823466e38;

bool has(uint i) { return (p.present >> i & 1u) != 0u; }

bool in_fours(uint i) { return (kFours >> i & 1u) != 0u; }
bool in_halves(uint i) { return (kHalves >> i & 1u) != 0u; }

/// An activation, of floats or of half floats. put_ writes two numbers at an even place, or one if there are no more.
#define ACTIVATION(i, name)                                                          \
    TENSOR(i, float, name);                                                          \
    layout(binding = i + 1, std430) buffer name##_pairs_block { uint name##_pairs[]; }; \
    float get_##name(uint at) {                                                      \
        if (!in_halves(i)) return AT(i, name, at);                                   \
        const vec2 two = unpackHalf2x16(name##_pairs[(p.shift[i] + at) / 2]);        \
        return (at & 1u) == 0u ? two.x : two.y;                                      \
    }                                                                                \
    void put_##name(uint at, vec2 two, uint count) {                                 \
        if (in_halves(i)) {                                                          \
            name##_pairs[(p.shift[i] + at) / 2] = packHalf2x16(two);                 \
        } else {                                                                     \
            AT(i, name, at) = two.x;                                                 \
            if (count > 1) AT(i, name, at + 1) = two.y;                              \
        }                                                                            \
    }

/// Whether output i, of 0 to 2, is added to rather than overwritten; and of gradients of weights, which also add up over
/// micro-batches.
bool adds(uint i) { return (p.adds >> i & 1u) != 0u; }
bool adds_weight(uint i) { return adds(i) || step_values.accumulate != 0u; }

/// Rows of this run, as Call::rows().
uint run_rows() {
    return p.B == 1 && step_values.rows > 0 && step_values.rows < p.T ? step_values.rows : p.B * p.T;
}

/// Number of this workgroup.
uint group() { return p.first + gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

float from_f16(uint h) {
    const uint exponent = h >> 10 & 31, sign = (h & 0x8000u) << 16, fraction = h & 1023;
    const float denormal = 5.9604644775390625e-8 * float(fraction);
    const uint bits = exponent == 0 ? floatBitsToUint(denormal)
                                    : (exponent == 31 ? 0x7F800000u : exponent + 112 << 23) | fraction << 13;
    return uintBitsToFloat(sign | bits);
}

/// Whether x is not a number. Drivers may take isnan() for false, and of NaN and a number max, min and clamp give either:
/// whatever a softmax has for its largest, a score that is NaN has such a weight.
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

shared float reduced[W];

#ifdef SUBGROUPS

/// Shows what each subgroup has to all.
void show(float of_subgroup) {
    barrier();  // who still reads the last result
    if (subgroupElect()) reduced[gl_SubgroupID] = of_subgroup;
    barrier();
}

/// The sum over the workgroup, for all its invocations.
float sum_of_group(float x) {
    show(subgroupAdd(x));
    float sum = reduced[0];
    for (uint i = 1; i < gl_NumSubgroups; ++i) sum += reduced[i];
    return sum;
}

/// The same for the largest; any of the numbers if one is NaN.
float max_of_group(float x) {
    show(subgroupMax(x));
    float largest = reduced[0];
    for (uint i = 1; i < gl_NumSubgroups; ++i) largest = max(largest, reduced[i]);
    return largest;
}

#else

float sum_of_group(float x) {
    const uint i = gl_LocalInvocationIndex;
    barrier();  // who still reads the last result
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

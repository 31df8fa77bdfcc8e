// Activation functions and their derivatives, as in src/cpu/vecmath.h; act is Act. Only activate and activate_derivative propagate
// NaN.

// Act
const uint kNoAct = 0, kGeluTanh = 1, kGeluErf = 2, kRelu = 3, kSilu = 4, kTanh = 5;

/// exp(-2u), u = sqrt(2/pi) (c + 0.044715 c^3).
float gelu_exp(float c) { return exp_within(c * fma(c * c, -1.59576912 * 0.044715, -1.59576912)); }

/// x/2 (1 + tanh u) = x / (1 + exp(-2u)).
float gelu_tanh(float x) {
    x = max(x, -9.5);
    return x / (1.0 + gelu_exp(min(x, 9.5)));
}

/// With e = exp(-2u), s = 1 / (1 + e):  s + x e s^2 (2u)'.
float gelu_tanh_derivative(float x) {
    const float c = clamp(x, -9.5, 9.5), e = gelu_exp(c), s = 1.0 / (1.0 + e);
    const float slope = fma(c * c, 3.0 * 1.59576912 * 0.044715, 1.59576912);
    return fma(c * slope * s, e * s, s);
}

/// The normal distribution's Q(a) = P(X > a) for a >= 0, as bell times a polynomial in t = 1 / (1 + a/4); bell = exp(-a^2/2).
float probability_beyond(float a, float bell) {
    const float t = 1.0 / fma(a, 0.25, 1.0);
    float q = -9.534545522e-02;
    q = fma(q, t, 3.586817160e-01);
    q = fma(q, t, -2.989344661e-01);
    q = fma(q, t, 3.124874975e-01);
    q = fma(q, t, 7.867533445e-03);
    q = fma(q, t, 1.169706859e-01);
    q = fma(q, t, 9.827247482e-02);
    return q * t * bell;
}

/// max(x, 0) - |x| Q(|x|).
float gelu_erf(float x) {
    const float a = min(abs(x), 13.0), q = probability_beyond(a, exp_within(a * a * -0.5));
    return fma(-a, q, max(x, 0.0));
}

/// P(X < x) + x exp(-x^2/2) / sqrt(2 pi).
float gelu_erf_derivative(float x) {
    const float a = min(abs(x), 13.0), bell = exp_within(a * a * -0.5);
    const float d = probability_beyond(a, bell) - a * 0.398942280 * bell;  // at -|x|; at |x| it is 1 - d
    return x < 0.0 ? d : 1.0 - d;
}

/// x / (1 + exp(-x)); below -80 it is practically 0.
float silu(float x) {
    x = max(x, -80.0);
    return x / (1.0 + exp_within(max(-x, -88.0)));
}

/// With e = exp(-x), s = 1 / (1 + e):  s + x e s^2.
float silu_derivative(float x) {
    const float c = clamp(x, -80.0, 88.0), e = exp_within(-c), s = 1.0 / (1.0 + e);
    return fma(c * s, e * s, s);
}

/// With e = exp(-2x): (1 - e) / (1 + e).
float tanh_within(float x) {
    const float e = exp_within(clamp(x, -9.5, 9.5) * -2.0);
    return (1.0 - e) / (1.0 + e);
}

/// 4 e / (1 + e)^2.
float tanh_derivative(float x) {
    const float e = exp_within(clamp(x, -9.5, 9.5) * -2.0), s = 2.0 / (1.0 + e);
    return e * s * s;
}

float activate(uint act, float x) {
    if (act == kNoAct) return x;
    const float y = act == kGeluTanh  ? gelu_tanh(x)
                    : act == kGeluErf ? gelu_erf(x)
                    : act == kSilu    ? silu(x)
                    : act == kTanh    ? tanh_within(x)
                                      : max(x, 0.0);
    return mix(y, x, is_nan(x));
}

float activate_derivative(uint act, float x) {
    if (act == kNoAct) return 1.0;
    if (act == kRelu) return x > 0.0 && !is_nan(x) ? 1.0 : 0.0;
    const float y = act == kGeluTanh  ? gelu_tanh_derivative(x)
                    : act == kGeluErf ? gelu_erf_derivative(x)
                    : act == kTanh    ? tanh_derivative(x)
                                      : silu_derivative(x);
    return mix(y, x, is_nan(x));
}

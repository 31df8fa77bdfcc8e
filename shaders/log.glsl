/// log(x) of a normal x > 0: error 1e-7 max(1, |log x|), as in Cephes. Infinity and NaN are unchanged.
float log_of(float x) {
    int e = int(floatBitsToUint(x) >> 23) - 126;
    float m = uintBitsToFloat(floatBitsToUint(x) & 0x7FFFFFu | 0x3F000000u);  // [0.5, 1)
    const bool low = m < 0.707106781;
    e -= int(low);
    m = mix(m, m + m, low) - 1.0;
    float y = 7.0376836292e-2;
    y = fma(y, m, -1.1514610310e-1);
    y = fma(y, m, 1.1676998740e-1);
    y = fma(y, m, -1.2420140846e-1);
    y = fma(y, m, 1.4249322787e-1);
    y = fma(y, m, -1.6668057665e-1);
    y = fma(y, m, 2.0000714765e-1);
    y = fma(y, m, -2.4999993993e-1);
    y = fma(y, m, 3.3333331174e-1);
    y = fma(y * m * m, m, -0.5 * m * m);
    y = fma(float(e), 0.693359375, m + fma(float(e), -2.12194440e-4, y));
    return mix(y, x, floatBitsToUint(x) >= 0x7F800000u);
}

// The losses of pairs of scores. Formulas: src/ref/preference_loss.cpp.
#include "cpu/vecmath.h"

namespace nib::cpu::NIB_ISA {
namespace {

constexpr int64_t kBlock = 64;  // pairs

// A loss and its derivative by the margin.
struct Loss {
    double loss, derivative;
};

// e = exp(-|beta m|)
Loss sigmoid(double m, double e, double beta, double smoothing) {
    const double z = beta * m, opposite = (z > 0 ? e : 1) / (1 + e);
    return {(z > 0 ? 0 : -z) + natural_log(1 + e) + smoothing * z, beta * (smoothing - opposite)};
}

Loss hinge(double m, double beta) {
    const double left = 1 - beta * m;
    return {left <= 0 ? 0 : left, left <= 0 ? 0 : -beta};
}

Loss squared(double m, double beta) {
    const double far = m - 1 / (2 * beta);
    return {far * far, 2 * far};
}

// e[i] = exp(-|factor margins[i]|)
void exponentials(const double* margins, int64_t n, double factor, float* e) {
    for (int64_t i = 0; i < n; ++i) e[i] = static_cast<float>(factor * margins[i]);
    for_each_vector(
        n, [&](int64_t i, auto get, auto put)
               __attribute__((always_inline)) { put(e + i, vexp(vf(0.0f) - xsimd::abs(get(e + i)))); });
}

}  // namespace

void preference_loss(const Call& call, Range rows, void*) {
    using O = operand::PreferenceLoss;
    const auto *scores = call.input<float>(O::scores), *scales = call.input<float>(O::scales),
               *offsets = call.input<float>(O::offsets);  // (R,2) each
    auto* loss = call.output<float>(O::loss);             // (R)
    auto* dscores = call.output<float>(O::dscores);       // (R,2) or null
    const Preference kind = call.p.preference;
    const auto beta = static_cast<double>(call.p.beta), smoothing = static_cast<double>(call.p.smoothing),
               loss_scale = static_cast<double>(call.step->loss_scale);
    const auto gain = [&](int64_t i) {
        return static_cast<double>(scales[i]) * static_cast<double>(scores[i]) - static_cast<double>(offsets[i]);
    };
    double margins[kBlock];
    alignas(64) float e[kBlock];
    for (int64_t first = rows.begin; first < rows.end; first += kBlock) {
        const int64_t count = min(kBlock, rows.end - first);
        for (int64_t i = 0; i < count; ++i) margins[i] = gain(2 * (first + i)) - gain(2 * (first + i) + 1);
        if (kind == Preference::Sigmoid) exponentials(margins, count, beta, e);
        for (int64_t i = 0; i < count; ++i) {
            const int64_t r = first + i;
            const double m = margins[i];
            const bool counts = offsets[2 * r] == offsets[2 * r];
            const Loss of = kind == Preference::Sigmoid ? sigmoid(m, static_cast<double>(e[i]), beta, smoothing)
                            : kind == Preference::Hinge ? hinge(m, beta)
                                                        : squared(m, beta);
            loss[r] = counts ? static_cast<float>(of.loss) : 0;
            if (!dscores) continue;
            const double d = loss_scale * of.derivative;
            dscores[2 * r] = counts ? static_cast<float>(d * static_cast<double>(scales[2 * r])) : 0;
            dscores[2 * r + 1] = counts ? static_cast<float>(-d * static_cast<double>(scales[2 * r + 1])) : 0;
        }
    }
}

}  // namespace nib::cpu::NIB_ISA

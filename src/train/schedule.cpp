#include "train/schedule.h"

#include <cmath>
#include <numbers>

#include "core/error.h"

namespace nib {

double Schedule::at(int64_t k) const {
    if (k < warmup) return lr * static_cast<double>(k + 1) / static_cast<double>(warmup + 1);
    if (kind == Kind::Constant) return lr;
    if (kind == Kind::Step) return lr * std::pow(gamma, static_cast<double>((k - warmup) / step_size));
    if (kind == Kind::InverseSqrt) return lr * std::sqrt(static_cast<double>(warmup + 1) / static_cast<double>(k + 1));
    if (k >= horizon) return min_lr;
    const double done = static_cast<double>(k - warmup) / static_cast<double>(horizon - warmup);  // 0 ... 1
    const double left = kind == Kind::Linear ? 1 - done : 0.5 * (1 + std::cos(std::numbers::pi * done));
    return min_lr + (lr - min_lr) * left;
}

Schedule::Kind schedule_kind(const std::string& name) {
    if (name == "constant") return Schedule::Kind::Constant;
    if (name == "linear") return Schedule::Kind::Linear;
    if (name == "step") return Schedule::Kind::Step;
    if (name == "cosine") return Schedule::Kind::Cosine;
    if (name == "inverse-sqrt") return Schedule::Kind::InverseSqrt;
    fail_usage_option("schedule", "is `%s`; choose one of: constant, linear, step, cosine, inverse-sqrt",
                      printable(name).c_str());
}

void check_schedule(const Schedule& s) {
    if (!(std::isfinite(s.lr) && s.lr > 0))
        fail_usage_option("lr", "is %g; it must be a positive number, for example 1e-3", s.lr);
    if (!(std::isfinite(s.min_lr) && s.min_lr >= 0 && s.min_lr <= s.lr))
        fail_usage_option("min-lr", "is %g; it must be between 0 and the learning rate (%g)", s.min_lr, s.lr);
    if (s.warmup < 0) fail_usage_option("warmup", "is %lld; it must be 0 steps or more", static_cast<long long>(s.warmup));
    if (s.horizon < 0)
        fail_usage_option("decay-iters", "is %lld; it must be 0 steps or more", static_cast<long long>(s.horizon));
    if (s.step_size < 1)
        fail_usage_option("step-size", "is %lld; it must be 1 step or more", static_cast<long long>(s.step_size));
    if (!(std::isfinite(s.gamma) && s.gamma > 0 && s.gamma <= 1))
        fail_usage_option("gamma", "is %g; it must be above 0 and at most 1", s.gamma);
}

}  // namespace nib

// Updates and smoothed losses against PyTorch: tests/goldens/make_optimizer_goldens.py says what the file holds.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/op_table.h"
#include "cpu/isa.h"
#include "numbers.h"
#include "op_cases.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;

struct Options {
    const char* name;
    Op op;
    bool decay, l2;
    float eps, momentum;
};
constexpr Options kOptions[] = {
    {"adamw",         Op::AdamW,   true,  false, 1e-8f,  0   },
    {"adam",          Op::AdamW,   true,  true,  1e-8f,  0   },
    {"adam_plain",    Op::AdamW,   false, true,  1e-8f,  0   },
    {"sgd",           Op::Sgd,     true,  false, 0,      0   },
    {"sgd_momentum",  Op::Sgd,     true,  false, 0,      0.9f},
    {"adagrad",       Op::Adagrad, true,  false, 1e-10f, 0   },
    {"adagrad_plain", Op::Adagrad, false, false, 1e-10f, 0   },
};

class OptimizerGolden : public testing::TestWithParam<const KernelTable*> {
protected:
    void run(const Call& call) const {
        std::vector<std::byte> scratch(GetParam()->scratch_bytes ? GetParam()->scratch_bytes(call) : 0);
        GetParam()->run[static_cast<int>(call.op)](call, {0, op_units(call)}, scratch.data());
    }
    const GgufFile file_ = GgufFile::open(golden("optimizers.gguf"));
};

TEST_P(OptimizerGolden, StepsAreThoseOfTorch) {
    const auto start = numbers<float>(file_, "weights"), gradients = numbers<float>(file_, "gradients");
    const size_t C = start.size(), steps = gradients.size() / C;
    ASSERT_GE(steps, 10u);
    for (const Options& o : kOptions) {
        std::vector<float> w(start.begin(), start.end()), first(C), second(C), stats = {1, 1};
        Step step;
        step.lr = 1e-2f, step.beta1 = 0.9f, step.beta2 = 0.95f, step.eps = o.eps, step.weight_decay = 0.1f;
        step.momentum = o.momentum;
        Call call;
        call.op = o.op;
        call.p.C = static_cast<int64_t>(C), call.p.decay = o.decay, call.p.l2 = o.l2;
        call.step = &step;
        const auto bind = [&](const char* operand, void* data) {
            if (const int i = op_info(o.op).find(operand); i >= 0) call.data[i] = data;
        };
        bind("stats", stats.data());
        bind("w", w.data());
        if (o.op != Op::Sgd || o.momentum > 0) bind("m", first.data());
        bind("v", second.data());
        for (size_t t = 0; t < steps; ++t) {
            std::vector<float> g(gradients.begin() + static_cast<std::ptrdiff_t>(t * C),
                                 gradients.begin() + static_cast<std::ptrdiff_t>((t + 1) * C));
            bind("g", g.data());
            step.correction1 = static_cast<float>(1 - std::pow(0.9, t + 1));
            step.correction2 = static_cast<float>(1 - std::pow(0.95, t + 1));
            run(call);
            EXPECT_LE(relative_error(w, numbers<float>(file_, o.name).subspan(t * C, C)), 1e-6) << o.name << " " << t;
        }
    }
}

TEST_P(OptimizerGolden, SmoothedLossesAreThoseOfTorch) {
    const auto targets = numbers<int32_t>(file_, "targets");
    const auto R = static_cast<int64_t>(targets.size()), counted = R - std::ranges::count(targets, kIgnore);
    ASSERT_LT(counted, R);
    for (const char* smoothing : {"0.0", "0.1", "0.6"}) {
        const auto logits = numbers<float>(file_, "logits");
        std::vector<float> logp(targets.size()), dlogits(logits.begin(), logits.end());
        Step step;
        step.loss_scale = static_cast<float>(1 / static_cast<double>(counted));
        Call call;
        call.op = Op::CrossEntropy;
        call.p.B = 1, call.p.T = R, call.p.N = static_cast<int64_t>(logits.size()) / R;
        call.p.smoothing = std::stof(smoothing);
        call.step = &step;
        using O = operand::CrossEntropy;
        call.data[O::logits] = call.data[O::dlogits] = dlogits.data();
        call.data[O::targets] = const_cast<int32_t*>(targets.data());
        call.data[O::logp] = logp.data();
        run(call);
        double loss = 0;
        for (const float x : logp) loss -= x / static_cast<double>(counted);
        EXPECT_NEAR(loss, numbers<float>(file_, std::string("loss.") + smoothing)[0], 1e-6) << smoothing;
        EXPECT_LE(relative_error(dlogits, numbers<float>(file_, std::string("dlogits.") + smoothing)), 1e-6) << smoothing;
    }
}

INSTANTIATE_TEST_SUITE_P(PyTorch, OptimizerGolden, testing::ValuesIn(kernel_tables()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace nib

// --dump-plan: prints what would run instead of running it.
#pragma once

#include "console.h"
#include "core/plan.h"
#include "core/wrapped_backend.h"

namespace nib {

/// What the lines mean, for help texts.
constexpr const char* kPlanLegend =
    "--dump-plan prints a line per node: stage (s: each thread takes whole sequences through it), op, outputs <- inputs; "
    "of a result also @offset in the arena and [first-last] stage that needs it; += adds to what is there.";

/// Prints each plan that is compiled and runs none: all results are zero.
class PlanPrinter : public WrappedBackend {
public:
    using WrappedBackend::WrappedBackend;
    void prepare(Plan& plan) override { print(plan.text() + "\n"); }
    void run(const Plan&, const Step&) override {}
};

}  // namespace nib

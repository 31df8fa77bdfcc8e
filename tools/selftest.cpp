// nib selftest: every op on this machine's kernels against the reference.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "core/ops.h"
#include "cpu/isa.h"
#include "ref/kernels.h"
#include "ref/op_check.h"

namespace nib {
namespace {

struct Options {
    std::string isa = "all";
};

// Prints one line per op; returns the number of ops that differ.
int check(const KernelTable& kernels) {
    int failures = 0;
    const std::vector<ref::OpCase> cases = ref::op_cases();
    for (int op = 0; op < kOpCount; ++op) {
        double error = 0;
        for (const ref::OpCase& c : cases)
            if (c.op == static_cast<Op>(op)) error = std::max(error, ref::op_error(c, kernels));
        const bool good = error <= ref::kOpTolerance;
        failures += !good;
        print(strprintf("%-8s %-24s largest error %.1e  %s\n", kernels.name, op_name(static_cast<Op>(op)), error,
                        good ? "ok" : "FAIL"));
    }
    return failures;
}

void selftest(const Options& o) {
    int failures = 0, tables = 0;
    const std::vector<const KernelTable*> all = kernel_tables();
    for (const KernelTable* kernels : all) {
        if (o.isa == "all" ? kernels == &ref::table && all.size() > 1 : o.isa != kernels->name) continue;
        failures += check(*kernels);
        ++tables;
    }
    if (tables == 0) kernel_table(o.isa);  // says which there are
    if (failures > 0)
        fail("%d op%s differ%s from the reference by more than %.0e", failures, failures == 1 ? "" : "s",
             failures == 1 ? "s" : "", ref::kOpTolerance);
    print(strprintf("all ops agree with the reference within %.0e\n", ref::kOpTolerance));
}

}  // namespace

void selftest_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    app.add_option("--isa", o->isa, "check only these kernels (nib run --help lists them); all: each set that runs here")
        ->capture_default_str();
    app.footer(
        "Every op runs with random numbers on this machine's kernels and on the plain scalar reference. Errors are "
        "relative\n"
        "to the largest value of a result.\n\nExample:\n  nib selftest");
    app.callback([o] { selftest(*o); });
}

}  // namespace nib

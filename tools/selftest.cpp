// nib selftest: every op on this machine's kernels against the reference, alone and in whole training steps.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "check/checked_backend.h"
#include "check/node_check.h"
#include "check/op_check.h"
#include "command.h"
#include "console.h"
#include "core/error.h"
#include "core/op_table.h"
#include "cpu/isa.h"
#include "infer/encoder.h"
#include "infer/engine.h"
#include "options.h"
#include "random_training.h"
#include "ref/kernels.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Without --train: every op with random numbers, in many shapes and with all its options, on this machine's kernels and "
    "on the plain scalar reference. With --train: training steps of a small model on random tokens, an evaluation and some "
    "tokens of inference, as nib train and nib run do them, with the result of every single node of their plans checked. "
    "Those that differ are listed; so it is if the nodes of a plan give other numbers together than one by one.\n\n"
    "Errors are relative: the root of the sum of the squares of all differences, over that of the results.\n\n"
    "Examples:\n"
    "  nib selftest\n"
    "  nib selftest --device vulkan\n"
    "  nib selftest --train --isa avx2 --preset gpt-nano --context 128\n"
    "  nib selftest --train --device vulkan --activations f16";

constexpr int kThreads = 2;  // so that sequences and parts of them are divided among threads

struct Options {
    bool train = false;
    std::string isa = "all", device = "auto";
    std::vector<std::string> ops;  // empty: all
    TrainingSizes sizes;
};

/// Compares a case with the reference; nothing if the device does not have the op.
using CheckCase = std::function<std::optional<check::Comparison>(const check::OpCase&)>;

struct CheckedCases {
    int64_t cases = 0;
    double error = 0;
    std::string mismatch;  // the first
    void add(const std::optional<check::Comparison>& result) {
        if (!result) return;
        ++cases;
        error = std::max(error, result->error);
        if (mismatch.empty()) mismatch = result->mismatch;
    }
    // Prints a line; returns whether the op differs.
    bool report(const char* name, const std::string& what) const {
        const std::string verdict = mismatch.empty() ? "ok" : "FAIL: " + mismatch;
        print(strprintf("%-8s %-24s ", name, what.c_str()) +
              (cases == 0 ? "not there yet\n"
                          : strprintf("%4lld cases, largest error %.1e  %s\n", static_cast<long long>(cases), error,
                                      verdict.c_str())));
        return !mismatch.empty();
    }
};

// Prints a line per op, and another if it has f16 activations; returns the number of lines with differences.
int check_ops(const char* name, const std::vector<std::string>& ops, const CheckCase& check_case) {
    int failures = 0;
    for (int i = 0; i < kOpCount; ++i) {
        const Op op = static_cast<Op>(i);
        if (!ops.empty() && std::find(ops.begin(), ops.end(), op_name(op)) == ops.end()) continue;
        CheckedCases floats, f16;
        const auto check = [&](const check::OpCase& c) { floats.add(check_case(c)); };
        check::for_each_case(op, {1, 5, 16, 37, 130}, check);
        check::for_each_typed_case(op, check);
        check::for_each_large_case(op, check);
        check::for_each_case_of_fewer_rows(op, check);
        failures += floats.report(name, op_name(op));
        check::for_each_case_of_f16(op, [&](const check::OpCase& c) { f16.add(check_case(c)); });
        if (f16.cases > 0) failures += f16.report(name, op_name(op) + std::string(" in f16"));
    }
    return failures;
}

// Logits at the end of a text of up to 21 tokens.
std::vector<float> infer(Backend& backend, const RandomTraining& training) {
    const ModelConfig& config = training.config();
    const std::vector<int32_t> prompt(static_cast<size_t>(std::min<int64_t>(20, config.context - 1)), 1);
    std::vector<int32_t> text = prompt;
    text.push_back(0);
    if (training.shape().objectives[0].head != "lm") {
        SequenceEncoder encoder(backend, config, training.weights());
        const std::vector<TextTokens> texts = {
            {text, {}}
        };
        return encoder.logits(training.shape().objectives[0].head, texts,
                              std::vector<TokenPlace>{
                                  {0, std::ssize(prompt)}
        });
    }
    Engine engine(backend, config, training.weights());
    if (config.has_encoder()) engine.encode(0, text);
    if (!prompt.empty()) engine.append(0, prompt);
    const std::span<const float> logits = engine.append(0, std::vector<int32_t>{0});
    return {logits.begin(), logits.end()};
}

// Losses and logits of training steps, an evaluation and some tokens of inference.
std::vector<double> train_and_run(Backend& backend, const TrainingSizes& sizes) {
    std::vector<double> results;
    RandomTraining training(backend, sizes);
    training.initialise();
    for (int64_t i = 0; i < sizes.options.iters; ++i) {
        training.draw();
        results.push_back(training.step());
    }
    results.push_back(training.evaluate());
    const std::vector<float> logits = infer(backend, training);
    results.insert(results.end(), logits.begin(), logits.end());
    return results;
}

// Checks the nodes of whole plans one by one, and that whole plans give the same bits. Returns the number of differences.
int check_training(const char* name, Backend& backend, const Options& o) {
    check::CheckedBackend checked(backend, [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
    if (train_and_run(checked, o.sizes) != train_and_run(backend, o.sizes)) {
        print(strprintf("%-8s FAIL: whole plans differ from their nodes one by one\n", name));
        return 1;
    }
    const check::CheckedBackend::Summary& sum = checked.summary();
    const std::string where = sum.op == Op::Count ? "" : std::string(" in ") + op_name(sum.op);
    const std::string verdict =
        sum.failures == 0 ? "ok" : strprintf("FAIL: %lld differ", static_cast<long long>(sum.failures));
    print(strprintf("%-8s %lld nodes checked, largest relative error %.1e%s  %s\n", name, static_cast<long long>(sum.nodes),
                    sum.error, where.c_str(), verdict.c_str()));
    return static_cast<int>(sum.failures);
}

int check_cpu(const Options& o) {
    int failures = 0, tables = 0;
    const std::vector<const KernelTable*> all = kernel_tables();
    for (const KernelTable* kernels : all) {
        if (o.isa == "all" ? kernels == &ref::table && all.size() > 1 : o.isa != kernels->name) continue;
        const auto check = [&](const check::OpCase& c) { return check::check_op(c, *kernels); };
        CpuBackend backend(*kernels, kThreads);
        failures += o.train ? check_training(kernels->name, backend, o) : check_ops(kernels->name, o.ops, check);
        ++tables;
    }
    if (tables == 0) kernel_table(o.isa);  // says which there are
    return failures;
}

int check_gpu(Backend& gpu, const Options& o) {
    print(gpu.name() + "\n");
    if (o.train) return check_training("vulkan", gpu, o);
    return check_ops("vulkan", o.ops, [&](const check::OpCase& c) { return check::check_op(c, gpu); });
}

void check_names(const std::vector<std::string>& ops) {
    std::string names;
    std::set<std::string> known;
    for (int i = 0; i < kOpCount; ++i) {
        names += (i > 0 ? ", " : "") + std::string(op_name(static_cast<Op>(i)));
        known.insert(op_name(static_cast<Op>(i)));
    }
    for (const std::string& op : ops)
        if (!known.contains(op)) fail_usage("there is no op `%s`; choose of: %s", printable(op, 60).c_str(), names.c_str());
}

void selftest(const Options& o) {
    check_names(o.ops);
    const bool named = o.device.starts_with("vulkan");
    int failures = named ? 0 : check_cpu(o);
    std::string problem;
    if (named || o.isa == "all")
        if (const std::unique_ptr<Backend> gpu = open_gpu(o.device, &problem)) failures += check_gpu(*gpu, o);
    if (!problem.empty()) print(strprintf("%-8s not checked: %s\n", "vulkan", problem.c_str()));
    const char* what = o.train ? "node" : "op";
    if (failures > 0) fail("%d %s%s from the reference", failures, what, failures == 1 ? " differs" : "s differ");
    print(strprintf("all %ss agree with the reference\n", what));
}

}  // namespace

void selftest_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    TrainOptions& sizes = o->sizes.options;
    sizes.layers = 2, sizes.heads = 3, sizes.embd = 36, sizes.context = 24, sizes.batch = 8;
    sizes.dropout = 0.1, sizes.iters = 2;
    auto* isa = app.add_option("--isa", o->isa,
                               "check only these kernels (nib run --help lists them); all: each set that runs here")
                    ->type_name("NAME")
                    ->capture_default_str();
    auto* train = app.add_flag("--train", o->train, "check whole training steps");
    app.add_option("--op", o->ops, "check only this op; may be given several times")->type_name("NAME")->excludes(train);
    add_training_sizes(app, o->sizes, train);
    add_device_option(app, o->device)
        ->description(
            "what to check: cpu, vulkan (the GPU that is most likely fast), vulkan:N (a number of `nib devices`); "
            "auto: the CPU, and a GPU if there is one");
    app.footer(kFooter);
    app.callback([o, isa] {
        if (isa->count() > 0 && o->device.starts_with("vulkan")) throw CLI::ExcludesError("--isa", "--device=" + o->device);
        selftest(*o);
    });
}

}  // namespace nib

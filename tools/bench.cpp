// nib bench: the limits of this machine, and how close nib comes to them.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "bench_model.h"
#include "command.h"
#include "console.h"
#include "core/error.h"
#include "core/plan.h"
#include "infer/engine.h"
#include "measure.h"
#include "options.h"
#include "plan_printer.h"
#include "random_training.h"
#include "train/memory.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Without MODEL and --train: the limits of the device, which are memory bandwidth (of reading by a CPU's threads, of "
    "copying on a GPU, both directions counted) and peak of fused multiply-adds; then matrix products, a prefill of 512 "
    "tokens and decoding of a model larger than the cache (the gpt2 preset, random weights) as shares of them.\n\n"
    "With MODEL: the median of three evaluations of --prefill random tokens and, after them, of --decode single tokens; "
    "the bytes of weights that decoding reads per second, as a share of the bandwidth (above 100 % if they lie in the "
    "cache); and the memory that the process uses beyond the mapped file.\n\n"
    "With --train: the time of a training step (forward, backward, clipping, AdamW) on random tokens: median of --iters "
    "steps after two that do not count, tokens per second, share of the peak (operations of the matrix products of forward "
    "and backward over the whole step's time) and the peak memory of the process.\n\n";

constexpr const char* kExamples =
    "\n\nExamples:\n"
    "  nib bench\n"
    "  nib bench gpt2-q8.gguf --prefill 512 --decode 64\n"
    "  nib bench --device vulkan\n"
    "  nib bench --train --preset gpt-mini --vocab 65 --context 128 --batch 64 --dropout 0.1\n"
    "  nib bench --train --preset gpt2 --vocab 50257 --context 64 --batch 4";

struct Options {
    bool train = false, dump_plan = false;
    TrainingSizes sizes;
    ModelBenchOptions model;
    BackendOptions backend;
};

// y = x w^T with M rows, C columns in and N out, or one of its gradients.
struct Product {
    const char* name;
    Op op;
    int64_t M, C, N;
};

constexpr Product kProducts[] = {
    {"1024 x 1024 x 1024",               Op::Linear,               1024, 1024, 1024},
    {"gpt-mini qkv",                     Op::Linear,               8192, 192,  576 },
    {"gpt-mini qkv, input gradient",     Op::LinearBackward,       8192, 192,  576 },
    {"gpt-mini qkv, weight gradient",    Op::LinearBackwardWeight, 8192, 192,  576 },
    {"gpt-mini output",                  Op::Linear,               8192, 192,  192 },
    {"gpt-mini output, input gradient",  Op::LinearBackward,       8192, 192,  192 },
    {"gpt-mini output, weight gradient", Op::LinearBackwardWeight, 8192, 192,  192 },
    {"gpt-mini up",                      Op::Linear,               8192, 192,  768 },
    {"gpt-mini up, input gradient",      Op::LinearBackward,       8192, 192,  768 },
    {"gpt-mini up, weight gradient",     Op::LinearBackwardWeight, 8192, 192,  768 },
    {"gpt-mini down",                    Op::Linear,               8192, 768,  192 },
    {"gpt-mini down, input gradient",    Op::LinearBackward,       8192, 768,  192 },
    {"gpt-mini down, weight gradient",   Op::LinearBackwardWeight, 8192, 768,  192 },
};

double product_flops(Backend& backend, const Product& product) {
    Graph g(Mode::Infer);
    const Tensor x = g.input("x", {1, product.M, product.C}, DType::F32);
    const Tensor w = g.input("w", {product.N, product.C}, DType::F32);
    const Tensor y = g.input("y", {1, product.M, product.N}, DType::F32);
    if (product.op == Op::Linear) g.add(product.op, {}, {x, w}, {y});
    if (product.op == Op::LinearBackward) g.add(product.op, {}, {y, w}, {x});
    if (product.op == Op::LinearBackwardWeight) g.add(product.op, {}, {y, x}, {w});
    const Plan plan = compile(std::move(g), backend);
    for (const Tensor t : {x, w, y}) {
        std::vector<float> values(plan.tensors[static_cast<size_t>(t.id)].bytes() / 4);
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 17) / 17 - 0.5f;
        plan.set(t, std::span<const float>(values));
    }
    const auto real = [](int64_t n) { return static_cast<double>(n); };
    return 2 * real(product.M) * real(product.C) * real(product.N) / time_of([&] { plan.run(Step{}); });
}

constexpr int64_t kPrefill = 512;

struct Inference {
    double prefill_tokens_per_second = 0, prefill_flops = 0;  // operations per second
    double decode_tokens_per_second = 0, decode_bytes = 0;    // of weights per second
};

// Operations of a prompt's matrix products, with logits after its last token only.
double prefill_flops(const ModelConfig& config, const Weights& weights) {
    const auto model = make_model(config);
    Graph g(Mode::Infer);
    const TokenInputs tokens(g, config, 1, kPrefill);
    const Tensor hidden = model->hidden(g, tokens.inputs(weights)), last = g.input("last", {1}, DType::I32);
    model->logits(g, weights, model->head("lm"), g.gather(hidden, last));
    return g.flops();
}

// Prefill and decoding of the gpt2 preset with random weights.
Inference measure_inference(Backend& backend) {
    const Preset& preset = find_preset("gpt2");
    ModelConfig config;
    config.layers = preset.layers;
    config.heads = preset.heads;
    config.embd = preset.embd;
    config.context = 1024;
    config.vocab = 50257;
    const ParameterLayout layout(config, {});
    const int buffer = backend.allocate(static_cast<size_t>(layout.total) * 4);
    std::vector<float> noise(1 << 16);
    for (size_t i = 0; i < noise.size(); ++i)
        noise[i] = 0.02f * static_cast<float>(static_cast<int>(i * 2654435761u % 2001) - 1000) / 1000;
    for (int64_t at = 0; at < layout.total; at += static_cast<int64_t>(noise.size())) {
        const auto count = static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(noise.size()), layout.total - at));
        backend.upload({buffer, static_cast<size_t>(at) * 4}, std::as_bytes(std::span(noise).first(count)));
    }
    size_t i = 0;
    const Weights weights = place_weights(config, [&](const ParameterSpec& spec) {
        return Weight{
            spec.name, spec.shape, DType::F32, {buffer,           layout.offsets[i++]},
               {                }
        };
    });
    Engine engine(backend, config, weights);
    const std::vector<int32_t> prompt(kPrefill, 1);
    const auto prefill = [&](int64_t tokens) {
        engine.reset();
        engine.append(0, std::span(prompt).first(static_cast<size_t>(tokens)));
    };
    Inference result;
    const double prefills = 1 / time_of([&] { prefill(kPrefill); }, 2);
    result.prefill_tokens_per_second = static_cast<double>(kPrefill) * prefills;
    result.prefill_flops = prefill_flops(config, weights) * prefills;
    prefill(5);
    int32_t token = 0;
    const auto decode = [&] {
        engine.append(0, std::span(&token, 1));
        ++token;
    };
    result.decode_tokens_per_second = 1 / time_of(decode, 20);
    // All matrices and the head are read for each token; of the position table, one row.
    result.decode_bytes =
        4.0 * static_cast<double>(parameter_count(config) - config.context * config.embd) * result.decode_tokens_per_second;
    return result;
}

void bench_machine(const Options& o, Backend& backend) {
    const Peak peak = measure_peak(backend);
    nlohmann::ordered_json json = {
        {"backend",             backend.name()                 },
        {"read_bytes_per_s",    peak.bandwidth                 },
        {"fma_peak_flop_per_s", peak.flops                     },
        {"products",            nlohmann::ordered_json::array()}
    };
    if (!o.model.json)
        print(strprintf("%s\n%-36s %8.1f GB/s\n%-36s %8.1f GFLOP/s\n", backend.name().c_str(), "memory bandwidth",
                        peak.bandwidth / 1e9, "multiply-add peak", peak.flops / 1e9));
    for (const Product& product : kProducts) {
        const double flops = product_flops(backend, product);
        json["products"].push_back({
            {"name",          product.name      },
            {"flop_per_s",    flops             },
            {"share_of_peak", flops / peak.flops}
        });
        if (!o.model.json)
            print(
                strprintf("%-36s %8.1f GFLOP/s  %3.0f %% of peak\n", product.name, flops / 1e9, 100 * flops / peak.flops));
    }
    const Inference inference = measure_inference(backend);
    const double prefill_share = inference.prefill_flops / peak.flops;
    const double decode_share = inference.decode_bytes / peak.bandwidth;
    json["prefill"] = {
        {"model",         "gpt2 f32"                         },
        {"tokens",        kPrefill                           },
        {"tok_s",         inference.prefill_tokens_per_second},
        {"flop_per_s",    inference.prefill_flops            },
        {"share_of_peak", prefill_share                      }
    };
    json["decode"] = {
        {"model",              "gpt2 f32"                        },
        {"tok_s",              inference.decode_tokens_per_second},
        {"bytes_per_s",        inference.decode_bytes            },
        {"share_of_bandwidth", decode_share                      }
    };
    if (o.model.json) return print_json(json);
    print(strprintf("%-36s %8.1f GFLOP/s  %3.0f %% of peak, %.1f tok/s\n", "prefill 512, gpt2 preset, f32",
                    inference.prefill_flops / 1e9, 100 * prefill_share, inference.prefill_tokens_per_second));
    print(strprintf("%-36s %8.1f GB/s     %3.0f %% of bandwidth, %.1f tok/s\n", "decode, gpt2 preset, f32",
                    inference.decode_bytes / 1e9, 100 * decode_share, inference.decode_tokens_per_second));
}

void bench_training(const Options& o, Backend& backend) {
    const TrainOptions& sizes = o.sizes.options;
    const ModelConfig config = sizes.config(o.sizes.vocab);
    double peak_bytes = 0, step_seconds = 0, step_flops = 0, loss = 0;
    {
        RandomTraining train(backend, o.sizes);
        train.initialise();
        std::vector<double> times;
        for (int64_t i = 0; i < sizes.iters + 2; ++i) {
            train.draw();
            const double begin = now();
            loss = train.step();
            if (i >= 2) times.push_back(now() - begin);
        }
        step_seconds = median(times);
        peak_bytes = peak_memory();
        step_flops = training_flops(config, train.shape());
    }
    const double tokens = static_cast<double>(sizes.batch * sizes.context) / step_seconds;
    const double flops = step_flops / step_seconds;
    const Peak peak = measure_peak(backend);
    if (o.model.json)
        return print_json({
            {"backend",       backend.name()         },
            {"parameters",    parameter_count(config)},
            {"step_ms",       step_seconds * 1e3     },
            {"tok_s",         tokens                 },
            {"flop_per_s",    flops                  },
            {"share_of_peak", flops / peak.flops     },
            {"peak_bytes",    peak_bytes             },
            {"loss",          loss                   }
        });
    print(strprintf(
        "%s, %lld parameters: step %.1f ms, %.0f tok/s, %.0f GFLOP/s (%.0f %% of the peak of %.0f), peak memory %.0f MiB\n",
        backend.name().c_str(), static_cast<long long>(parameter_count(config)), step_seconds * 1e3, tokens, flops / 1e9,
        100 * flops / peak.flops, peak.flops / 1e9, peak_bytes / (1 << 20)));
}

// Prints the plans of a training run instead of running them.
void dump_plans(const Options& o, Backend& backend) {
    PlanPrinter printer(backend);
    RandomTraining(printer, o.sizes);
}

}  // namespace

void bench_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    o->sizes.options.iters = 10;
    auto* model = add_model_bench_options(app, o->model);
    auto* train = app.add_flag("--train", o->train, "time training steps")->excludes(model);
    auto* json = app.add_flag("--json", o->model.json, "print one JSON object");
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    add_training_sizes(app, o->sizes, train);
    app.add_flag("--dump-plan", o->dump_plan, "print what would run, and run nothing")
        ->needs(train)
        ->excludes(json)
        ->group("Training");
    app.footer(std::string(kFooter) + kPlanLegend + kExamples);
    app.callback([o] {
        on_device(o->backend, [&](std::unique_ptr<Backend> backend) {
            if (o->dump_plan)
                dump_plans(*o, *backend);
            else if (o->train)
                bench_training(*o, *backend);
            else if (!o->model.path.empty())
                bench_model(*backend, o->model);
            else
                bench_machine(*o, *backend);
        });
    });
}

}  // namespace nib

#include "bench_model.h"

#include <algorithm>
#include <vector>

#include "console.h"
#include "core/error.h"
#include "core/philox.h"
#include "infer/encoder.h"
#include "infer/engine.h"
#include "io/gguf.h"
#include "measure.h"
#include "model/loaded_model.h"
#include "options.h"

namespace nib {
namespace {

constexpr int kRepeats = 3;

std::vector<int32_t> random_tokens(int64_t count, int64_t vocab) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < count; ++i)
        ids.push_back(static_cast<int32_t>(philox({static_cast<uint32_t>(i), 0, 0, 0}, 1)[0] % vocab));
    return ids;
}

// Bytes of weights that one token reads: all but the embedding tables, of which it reads a row.
double decode_bytes(const ModelConfig& config, const GgufFile& file) {
    double bytes = 0;
    for (const GgufTensor& tensor : file.tensors())
        if (tensor.name != "position_embd.weight" && (tensor.name != "token_embd.weight" || config.tied))
            bytes += static_cast<double>(tensor.data.size());
    return bytes;
}

// A prompt in slot 0, or a source that it attends to.
void read_prompt(Engine& engine, std::span<const int32_t> prompt, bool is_source) {
    if (is_source)
        engine.encode(0, prompt);
    else
        engine.append(0, prompt);
}

// The same for another slot.
void share_prompt(Engine& engine, int64_t slot, bool is_source) {
    if (is_source)
        engine.attend(slot, 0);
    else
        engine.copy(0, slot, engine.length(0));
}

// Texts of one length, one at a time and many at once.
void bench_encoder(Backend& backend, const ModelBenchOptions& o, const ModelConfig& config, const Weights& weights) {
    const int64_t T = o.prefill.value_or(std::min<int64_t>(24, config.context));
    const std::vector<TextTokens> texts(static_cast<size_t>(o.samples.value_or(32)), {random_tokens(T, config.vocab), {}});
    SequenceEncoder encoder(backend, config, weights);
    const auto texts_per_second = [&](size_t at_once) {
        const auto first = std::span(texts).first(at_once);
        std::vector<double> times;
        encoder.embed(first, Pooling::Mean, true);  // plans are compiled, pages are read
        for (const double begin = now(); times.size() < 5 || now() - begin < 1;) {
            const double start = now();
            encoder.embed(first, Pooling::Mean, true);
            times.push_back(now() - start);
        }
        return static_cast<double>(at_once) / median(times);
    };
    const double alone = texts_per_second(1), together = texts_per_second(texts.size()), memory = anonymous_memory();
    if (o.json)
        return print_json({
            {"backend",              backend.name()},
            {"tokens",               T             },
            {"texts_per_s_alone",    alone         },
            {"texts_at_once",        texts.size()  },
            {"texts_per_s_together", together      },
            {"memory_bytes",         memory        }
        });
    print(strprintf(
        "%s: texts of %s: one at a time %.1f texts/s, %zu at once %.1f texts/s, memory beyond the file %.0f MiB\n",
        backend.name().c_str(), counted(T, "token").c_str(), alone, texts.size(), together, memory / (1 << 20)));
}

void bench_decoder(Backend& backend, const ModelBenchOptions& o, const ModelConfig& config, const Weights& weights,
                   const GgufFile& file) {
    const int64_t samples = o.samples.value_or(1);
    const int64_t room = o.prefill ? std::max<int64_t>(config.context - *o.prefill, 1) : config.context / 2;
    const int64_t steps_wanted = o.decode.value_or(std::min<int64_t>(64, room));
    const int64_t prompt_wanted = o.prefill.value_or(std::clamp<int64_t>(config.context - steps_wanted, 1, 512));
    if (steps_wanted < 1 || prompt_wanted + steps_wanted > config.context)
        fail("--prefill %lld and --decode %lld are more than the model's context of %lld tokens",
             static_cast<long long>(prompt_wanted), static_cast<long long>(steps_wanted),
             static_cast<long long>(config.context));
    const std::vector<int32_t> prompt = random_tokens(prompt_wanted, config.source_tokens()),
                               next = random_tokens(steps_wanted, config.vocab);
    const int64_t decoded_from = config.has_encoder() ? 0 : prompt_wanted;  // a source is no part of what is written
    std::vector<double> prefill, decode;
    double memory = 0;
    {
        Engine engine(backend, config, weights, {.slots = samples, .cache_type = float_type(o.cache)});
        std::vector<EngineRow> rows(static_cast<size_t>(samples));  // a token of each sample
        for (int i = 0; i <= kRepeats; ++i) {
            engine.reset();
            const double begin = now();
            read_prompt(engine, prompt, config.has_encoder());
            const double end = now();
            for (int32_t s = 1; s < samples; ++s) share_prompt(engine, s, config.has_encoder());
            const double middle = now();
            for (size_t t = 0; t < next.size(); ++t) {
                for (size_t s = 0; s < rows.size(); ++s)
                    rows[s] = {next[t], static_cast<int32_t>(s), decoded_from + static_cast<int64_t>(t), true};
                engine.step(rows);
            }
            if (i == 0) continue;  // plans are compiled, pages are read
            prefill.push_back(end - begin);
            decode.push_back(now() - middle);
        }
        memory = anonymous_memory();
    }
    const double prefill_rate = static_cast<double>(prompt_wanted) / median(prefill);
    const double steps = static_cast<double>(steps_wanted) / median(decode);
    const double decode_rate = steps * static_cast<double>(samples), bytes = steps * decode_bytes(config, file);
    const double bandwidth = measure_peak(backend).bandwidth;
    if (o.json)
        return print_json({
            {"backend",            backend.name()   },
            {"prefill_tok_s",      prefill_rate     },
            {"decode_tok_s",       decode_rate      },
            {"bytes_per_s",        bytes            },
            {"read_bytes_per_s",   bandwidth        },
            {"share_of_bandwidth", bytes / bandwidth},
            {"memory_bytes",       memory           }
        });
    print(
        strprintf("%s: prefill %.1f tok/s, decode %.1f tok/s (%.1f GB/s of weights, %.0f %% of the bandwidth of %.1f), "
                  "memory beyond the file %.0f MiB\n",
                  backend.name().c_str(), prefill_rate, decode_rate, bytes / 1e9, 100 * bytes / bandwidth, bandwidth / 1e9,
                  memory / (1 << 20)));
}

}  // namespace

CLI::Option* add_model_bench_options(CLI::App& app, ModelBenchOptions& o) {
    auto* model = app.add_option("MODEL", o.path, "model file (GGUF) to time instead");
    const auto number = [&](const char* name, auto& value, int64_t most, const char* help) {
        return app.add_option(name, value, help)
            ->transform(whole_number(1, most))
            ->type_name("N")
            ->needs(model)
            ->group("Model");
    };
    number(
        "--prefill", o.prefill, INT32_MAX,
        "tokens to evaluate at once (default: 512, or what the context has room for); of an encoder: tokens of each text "
        "(default: 24)");
    number("--decode", o.decode, INT32_MAX,
           "single tokens to evaluate after them (default: 64, or what the context has room for)");
    number("--samples", o.samples, 4096,
           "sequences that are decoded side by side (default: 1); of an encoder: texts at once (default: 32)");
    add_cache_option(app, o.cache)->needs(model)->group("Model");
    return model;
}

void bench_model(Backend& backend, const ModelBenchOptions& o) {
    const GgufFile file = GgufFile::open(model_file(o.path));
    const ModelConfig config = read_config(file);
    const Weights weights = weights_in(config, file, map_weights(backend, file));
    const auto model = make_model(config);
    const auto writes = [](const Head& head) { return head.name == std::string_view("lm"); };
    if (std::any_of(model->heads().begin(), model->heads().end(), writes))
        bench_decoder(backend, o, config, weights, file);
    else if (o.decode)
        fail("the model does not write: there is nothing to decode");
    else
        bench_encoder(backend, o, config, weights);
}

}  // namespace nib

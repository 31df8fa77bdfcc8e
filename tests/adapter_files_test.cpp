// Adapters as files against PEFT (tests/goldens/make_lora_goldens.py): converted, run, trained further, merged and
// exported; and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "gpt_case.h"
#include "io/safetensors.h"
#include "model/loaded_model.h"
#include "model/peft.h"
#include "numbers.h"
#include "test_errors.h"
#include "test_files.h"
#include "train/train_step.h"

namespace nib {
namespace {

using namespace test;

struct Case {
    const char *name, *base;
    double scale;
};

class Adapters : public testing::TestWithParam<Case> {
protected:
    Adapters() {
        convert_checkpoint(request(golden(std::string("transformers/") + GetParam().base), "base.gguf"), silent_);
        ConvertRequest adapter = request(golden(std::string("lora/") + GetParam().name), "adapter.gguf");
        adapter.base = path("base.gguf");
        convert_adapter(adapter, silent_);
    }

    std::string path(const std::string& name) const { return (folder_ / name).string(); }
    ConvertRequest request(const std::string& input, const std::string& output) const {
        ConvertRequest r;
        r.input = input, r.output = path(output), r.overwrite = true;
        return r;
    }
    // Logits (B,T,V) of a file for the golden's tokens.
    std::vector<float> logits(Backend& backend, const std::string& file, std::vector<AdapterChoice> adapters) const {
        for (AdapterChoice& a : adapters) a.path = path(a.path);
        const LoadedModel model(path(file), backend, adapters);
        return LogitsGraph(backend, model.config(), model.weights(), B, T).run(ids);
    }

    const ConvertReports silent_{[](const Note&) {}, [](double) {}};
    TempFolder folder_;
    const GgufFile expected = GgufFile::open(golden(std::string("lora/") + GetParam().name + ".gguf"));
    const std::span<const int32_t> ids = numbers<int32_t>(expected, "ids"), targets = numbers<int32_t>(expected, "targets");
    const int64_t B = expected.tensor("ids").shape[0], T = expected.tensor("ids").shape[1];
};

TEST_P(Adapters, Logits) {
    for (const KernelTable* table : kernel_tables()) {
        CpuBackend backend(*table, 2);
        const auto run = [&](std::vector<AdapterChoice> adapters) { return logits(backend, "base.gguf", adapters); };
        const std::vector<float> got = run({
            {"adapter.gguf", 1}
        });
        EXPECT_LE(relative_error(got, numbers<float>(expected, "logits")), 1e-5) << table->name;
        EXPECT_LE(relative_error(run({
                                     {"adapter.gguf", 0.75f},
                                     {"adapter.gguf", 0.25f}
        }),
                                 got),
                  1e-5)
            << table->name;
        EXPECT_LE(relative_error(run({
                                     {"adapter.gguf", 0}
        }),
                                 run({})),
                  1e-6);
    }
}

// Gradients, and five steps of AdamW that go on from the adapter.
TEST_P(Adapters, Training) {
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend backend(*table, 2);
        const LoadedModel model(path("base.gguf"), backend);
        const AdapterFile adapter(GgufFile::open(path("adapter.gguf")));
        TrainShape shape;
        shape.batch = B, shape.time = T, shape.frozen = model.weights();
        shape.lora.rank = adapter.pairs()[0].rank(), shape.lora.alpha = adapter.keys().alpha;
        for (const AdapterFile::Pair& pair : adapter.pairs()) shape.lora.targets.push_back(target_name(pair.parameter));
        TrainStep train(backend, model.config(), shape);
        const size_t first = model.weights().all().size();
        ASSERT_EQ(train.parameters().size() - first, adapter.file().tensors().size());
        for (size_t i = first; i < train.parameters().size(); ++i)
            backend.upload(train.locate(i, 0), adapter.file().tensor(train.parameters()[i].name).data);

        EXPECT_NEAR(train.micro_step(ids, targets, {}), numbers<float>(expected, "loss")[0], 1e-5);
        for (size_t i = first; i < train.parameters().size(); ++i) {
            std::vector<float> g(static_cast<size_t>(train.parameters()[i].shape.elements()));
            backend.download(train.gradient(i), std::as_writable_bytes(std::span(g)));
            EXPECT_LE(gradient_error(g, numbers<float>(expected, "grad." + train.parameters()[i].name)), 1e-5)
                << train.parameters()[i].name;
        }
        int64_t step = 0;
        for (const float loss : numbers<float>(expected, "losses")) {
            const TrainStep::Update update{step, 1e-2, 0.1, 0.9, 0.95, 1e-8, 0};
            EXPECT_NEAR(train.last_micro_step(ids, targets, {}, 1, update).loss, loss, 1e-5)
                << "after " << step << " steps";
            ++step;
        }
    }
}

TEST_P(Adapters, MergedEqualsAttached) {
    CpuBackend backend(kernel_table("auto"), 2);
    for (const float scale : {1.0f, 0.5f}) {
        const AdapterChoice choice{path("adapter.gguf"), scale};
        merge_adapters(request(path("base.gguf"), "merged.gguf"), {&choice, 1}, silent_);
        EXPECT_LE(relative_error(logits(backend, "merged.gguf",
                                        {
        }),
                                 logits(backend, "base.gguf", {{"adapter.gguf", scale}})),
                  1e-6);
        if (scale != 1) continue;
        const GgufFile merged = GgufFile::open(path("merged.gguf"));
        int compared = 0;
        for (const GgufTensor& tensor : expected.tensors())
            if (tensor.name.starts_with("merged.")) {
                const std::string name = tensor.name.substr(7);
                EXPECT_LE(relative_error(numbers<float>(merged, name), numbers<float>(expected, tensor.name)), 1e-6)
                    << name;
                ++compared;
            }
        EXPECT_GE(compared, 4);
    }
    ConvertRequest half = request(path("base.gguf"), "merged.gguf");
    half.type = DType::F16;
    const AdapterChoice choice{path("adapter.gguf"), 1};
    merge_adapters(half, {&choice, 1}, silent_);
    EXPECT_LE(relative_error(logits(backend, "merged.gguf", {}), numbers<float>(expected, "logits")), 4e-3);
}

TEST_P(Adapters, BackToPeft) {
    ExportRequest back;
    back.input = path("adapter.gguf"), back.output = path("peft");
    export_adapter(back, silent_);
    const std::string source = golden(std::string("lora/") + GetParam().name);
    EXPECT_TRUE(read_file(folder_ / "peft/adapter_model.safetensors") == read_file(source + "/adapter_model.safetensors"));
    const auto before = nlohmann::json::parse(read_file(source + "/adapter_config.json")),
               after = nlohmann::json::parse(read_file(folder_ / "peft/adapter_config.json"));
    for (const char* key : {"peft_type", "r", "task_type", "bias", "fan_in_fan_out", "base_model_name_or_path"})
        EXPECT_EQ(after[key], before[key]) << key;
    const auto names = [](const nlohmann::json& json) {
        auto list = json["target_modules"].get<std::vector<std::string>>();
        std::sort(list.begin(), list.end());
        return list;
    };
    EXPECT_EQ(names(after), names(before));
    EXPECT_NEAR(after["lora_alpha"].get<double>() / after["r"].get<double>(), GetParam().scale, 1e-6);

    ConvertRequest again = request(path("peft"), "again.gguf");
    again.base = path("base.gguf");
    convert_adapter(again, silent_);
    EXPECT_TRUE(read_file(folder_ / "again.gguf") == read_file(folder_ / "adapter.gguf"));
}

INSTANTIATE_TEST_SUITE_P(Peft, Adapters,
                         testing::Values(Case{"gpt2", "tied", 2}, Case{"llama", "llama", 2.5},
                                         Case{"llama_rslora", "llama", 1.5}),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- what is refused -------------------------------------------------------------------------------------------------

class AdapterErrors : public testing::Test {
protected:
    AdapterErrors() {
        for (const char* name : {"tied", "llama", "qwen2"}) {
            ConvertRequest r;
            r.input = golden(std::string("transformers/") + name), r.output = path(std::string(name) + ".gguf");
            convert_checkpoint(r, silent_);
        }
        fs::copy(golden("lora/gpt2"), folder_ / "peft");
    }
    std::string path(const std::string& name) const { return (folder_ / name).string(); }

    struct Matrix {
        std::string name;
        std::vector<int64_t> shape;
    };
    // An adapter with these tensors; `change` may set other keys.
    std::string adapter(const std::vector<Matrix>& tensors, const std::function<void(GgufWriter&)>& change = {},
                        const char* arch = "gpt2") const {
        GgufWriter writer;
        write_adapter_keys(writer, {arch, 4, "some model", 0});
        if (change) change(writer);
        const std::vector<float> zeros(10000);
        for (const Matrix& m : tensors) {
            size_t count = 4;
            for (const int64_t d : m.shape) count *= static_cast<size_t>(d);
            writer.add(m.name, DType::F32, m.shape, std::as_bytes(std::span(zeros)).first(count));
        }
        AtomicFile file(path("a.gguf"));
        writer.write(file);
        file.publish();
        return path("a.gguf");
    }
    std::string attach(const std::string& file, const char* base = "tied.gguf") const {
        return error_of([&] {
            CpuBackend backend(kernel_table("auto"), 1);
            const AdapterChoice choice{file, 1};
            LoadedModel(path(base), backend, {&choice, 1});
        });
    }
    std::string convert(const std::function<void(nlohmann::json&)>& change, const std::string& base = "") const {
        const fs::path config = folder_ / "peft/adapter_config.json";
        const std::string before = read_file(config);
        auto json = nlohmann::json::parse(before);
        change(json);
        write_file(config, json.dump());
        ConvertRequest r;
        r.input = path("peft"), r.output = path("out.gguf"), r.overwrite = true;
        if (!base.empty()) r.base = path(base);
        const std::string message = error_of([&] { convert_adapter(r, silent_); });
        write_file(config, before);
        return message;
    }

    const ConvertReports silent_{[](const Note&) {}, [](double) {}};
    TempFolder folder_;
};

TEST_F(AdapterErrors, Files) {
    const std::string qkv = "blk.0.attn_qkv.weight";
    EXPECT_EQ(attach(adapter({
                  {qkv + ".lora_a", {2, 12}},
                  {qkv + ".lora_b", {36, 2}}
    })),
              "");
    EXPECT_MENTIONS(attach(path("tied.gguf")), "is a model, not an adapter");
    EXPECT_MENTIONS(attach(adapter({})), "has no tensors");
    EXPECT_MENTIONS(attach(adapter({
                        {qkv + ".lora_a", {2, 12}}
    })),
                    "`blk.0.attn_qkv.weight.lora_b` is missing");
    EXPECT_MENTIONS(attach(adapter({
                        {qkv, {36, 12}}
    })),
                    "its name does not end in .lora_a or .lora_b");
    EXPECT_MENTIONS(attach(adapter({
                        {qkv + ".lora_a", {12}   },
                        {qkv + ".lora_b", {36, 2}}
    })),
                    "has shape (12)");
    EXPECT_MENTIONS(attach(adapter({
                        {qkv + ".lora_a", {2, 12}},
                        {qkv + ".lora_b", {36, 3}}
    })),
                    "are not of one rank");
    EXPECT_MENTIONS(attach(adapter({}, [](GgufWriter& w) { w.set("adapter.type", std::string("ia3")); })),
                    "an adapter of kind `ia3`");
    EXPECT_MENTIONS(attach(adapter({}, [](GgufWriter& w) { w.set("adapter.lora.alpha", -1.0f); })), "is -1");
    EXPECT_MENTIONS(attach(adapter({}, [](GgufWriter& w) { w.set("adapter.lora.alpha", NAN); })), "is nan");
    EXPECT_MENTIONS(attach(adapter({}, [](GgufWriter& w) { w.set("nib.adapter.head_size", uint32_t{1} << 31); })),
                    "makes no sense");
    EXPECT_MENTIONS(error_of([&] {
                        read_config(GgufFile::open(adapter({
                            {qkv + ".lora_a", {2, 12}}
                        })));
                    }),
                    "is an adapter");
}

TEST_F(AdapterErrors, AllThatDiffersFromTheBaseInOneReport) {
    const std::string file = adapter(
        {
            {"blk.0.attn_q.weight.lora_a", {2, 16}},
            {"blk.0.attn_q.weight.lora_b", {16, 2}},
            {"blk.9.ffn_up.weight.lora_a", {2, 12}},
            {"blk.9.ffn_up.weight.lora_b", {48, 2}},
            {"blk.0.ffn_up.weight.lora_a", {2, 13}},
            {"blk.0.ffn_up.weight.lora_b", {48, 2}},
            {"token_embd.weight.lora_a",   {2, 12}},
            {"token_embd.weight.lora_b",   {23, 2}}
    },
        {}, "llama");
    const std::string message = attach(file);
    for (const char* part : {"is no adapter of ", "tied.gguf: it is for a llama, not a gpt2; ",
                             "the model has no `blk.0.attn_q.weight`, `blk.9.ffn_up.weight`; ",
                             "nib adapts linear layers of blocks only, not `token_embd.weight`; ",
                             "`blk.0.ffn_up.weight` is (48,12) there, (48,13) here"})
        EXPECT_MENTIONS(message, part);
    EXPECT_EQ(message.find('\n'), message.npos);
}

// The same sizes, other numbers; the type of the matrices does not matter.
TEST_F(AdapterErrors, AnotherModelOfTheSameSizes) {
    const std::string qkv = "blk.0.attn_qkv.weight";
    const GgufFile base = GgufFile::open(path("tied.gguf"));
    const auto file = [&](uint64_t change) {
        return adapter(
            {
                {qkv + ".lora_a", {2, 12}},
                {qkv + ".lora_b", {36, 2}}
        },
            [&](GgufWriter& w) {
                AdapterKeys keys = adapter_keys(read_config(base), {.rank = 2}, base);
                keys.base = "twin";
                *keys.fingerprint ^= change;
                write_adapter_keys(w, keys);
            });
    };
    EXPECT_EQ(attach(file(0)), "");
    EXPECT_MENTIONS(attach(file(1)), "it was trained on another model, `twin`");
    ConvertRequest half;
    half.input = path("tied.gguf"), half.output = path("half.gguf"), half.type = DType::F16;
    quantize_file(half, silent_);
    EXPECT_EQ(attach(file(0), "half.gguf"), "");
    ConvertRequest merge;
    merge.input = path("tied.gguf"), merge.output = path("merged.gguf");
    const AdapterChoice choice{file(1), 1};
    EXPECT_MENTIONS(error_of([&] { merge_adapters(merge, {&choice, 1}, silent_); }), "it was trained on another model");
    EXPECT_FALSE(fs::exists(merge.output));
}

TEST_F(AdapterErrors, WhatIsNotPlainLora) {
    using Json = nlohmann::json;
    const auto with = [&](const char* key, const Json& value) {
        return convert([&](Json& j) { j[key] = value; }, "tied.gguf");
    };
    EXPECT_EQ(with("lora_dropout", 0.5), "");
    EXPECT_MENTIONS(with("peft_type", "IA3"), "peft_type: IA3 is not supported");
    EXPECT_MENTIONS(with("use_dora", true), "use_dora: true is not supported");
    EXPECT_MENTIONS(with("bias", "all"), "bias: all is not supported");
    EXPECT_MENTIONS(with("modules_to_save", {"lm_head"}), "modules_to_save: [\"lm_head\"] is not supported");
    EXPECT_MENTIONS(with("alpha_pattern",
                         {
                             {"c_attn", 3}
    }),
                    "alpha_pattern");
    EXPECT_MENTIONS(with("init_lora_weights", "pissa_niter_4"), "init_lora_weights: pissa_niter_4 is not supported");
    EXPECT_MENTIONS(with("r", "three"), "r is string where nib expects a rank");
    EXPECT_MENTIONS(with("r", 4), "another rank than adapter_config.json says");
    EXPECT_MENTIONS(with("lora_alpha", -1), "lora_alpha is -1; nib expects a positive number");
    EXPECT_MENTIONS(convert([](Json& j) { j = 3; }), "nib expects an object");
    EXPECT_MENTIONS(convert([](Json&) {}), "may be for a openai-gpt or gpt2");
    EXPECT_EQ(convert([](Json& j) {
                  j["auto_mapping"] = {
                      {"base_model_class", "GPT2LMHeadModel"}
                  };
              }),
              "");
    EXPECT_MENTIONS(convert([](Json&) {}, "qwen2.gguf"), "is no module of a qwen2");
}

TEST_F(AdapterErrors, HeadsThatNobodyNames) {
    ConvertRequest r;
    r.input = golden("lora/llama"), r.output = path("out.gguf");
    Remedy remedy = Remedy::None;
    try {
        convert_adapter(r, silent_);
    } catch (const Error& error) {
        remedy = error.remedy();
    }
    EXPECT_EQ(remedy, Remedy::GiveBase);
    EXPECT_FALSE(fs::exists(r.output));
    const std::string q = "blk.0.attn_q.weight";
    ExportRequest back;
    back.input = adapter(
        {
            {q + ".lora_a", {2, 16}},
            {q + ".lora_b", {24, 2}}
    },
        {}, "llama"),
    back.output = path("back");
    EXPECT_MENTIONS(error_of([&] { export_adapter(back, silent_); }), "depends on the model's heads");
    back.base = path("llama.gguf");
    export_adapter(back, silent_);
    EXPECT_TRUE(fs::exists(folder_ / "back/adapter_config.json"));
}

}  // namespace
}  // namespace nib

#include "model/config.h"

#include "core/error.h"
#include "model/gpt.h"

namespace nib {
namespace {

constexpr Preset kPresets[] = {
    {"gpt-nano",    3,  3,  48  },
    {"gpt-micro",   4,  4,  128 },
    {"gpt-mini",    6,  6,  192 },
    {"gopher-44m",  8,  16, 512 },
    {"openai-gpt",  12, 12, 768 },
    {"gpt2",        12, 12, 768 },
    {"gpt2-medium", 24, 16, 1024},
    {"gpt2-large",  36, 20, 1280},
    {"gpt2-xl",     48, 25, 1600},
};

// Larger than any model that exists, small enough that products of two sizes and the layer count cannot overflow.
constexpr int64_t kMaxSize = int64_t{1} << 24, kMaxLayers = int64_t{1} << 12;

}  // namespace

std::span<const Preset> presets() { return kPresets; }

const Preset& find_preset(const std::string& name) {
    std::string names;
    for (const Preset& preset : kPresets) {
        if (name == preset.name) return preset;
        names += (names.empty() ? "" : ", ") + std::string(preset.name);
    }
    fail_usage("there is no preset `%s`; choose one of: %s", printable(name).c_str(), names.c_str());
}

void check_config(const GptConfig& c) {
    const auto check = [](const char* what, int64_t value, int64_t limit) {
        if (value < 1 || value > limit)
            fail_usage("%s %lld is out of range; it must be between 1 and %lld", what, static_cast<long long>(value),
                       static_cast<long long>(limit));
    };
    check("number of layers", c.layers, kMaxLayers);
    check("number of heads", c.heads, kMaxSize);
    check("number of channels", c.embd, kMaxSize);
    check("context", c.context, kMaxSize);
    check("vocabulary", c.vocab, kMaxSize);
    check("feed-forward width", c.feed_forward(), 4 * kMaxSize);
    if (c.embd % c.heads != 0)
        fail_usage("%lld heads do not divide %lld channels, which must be a multiple of them",
                   static_cast<long long>(c.heads), static_cast<long long>(c.embd));
}

int64_t parameter_count(const GptConfig& config) {
    int64_t count = 0;
    for (const ParameterSpec& spec : gpt_parameters(config)) count += spec.shape.elements();
    return count;
}

GptConfig read_config(const GgufFile& file) {
    const auto architecture = file.get<std::string>("general.architecture");
    if (architecture == "nib-state")
        fail("%s: is what a training resumes from, not a model; the model has the same name without `.state`",
             printable(file.name()).c_str());
    if (architecture != "gpt2")
        fail("%s: architecture `%s` is not supported; nib runs gpt2", file.name().c_str(), printable(architecture).c_str());
    const auto size = [&](const std::string& key) {
        const auto value = file.get<int64_t>("gpt2." + key);
        if (value < 1)  // a feed-forward width of 0 would else mean 4 * embd
            fail("%s: key `gpt2.%s` is %lld; it must be 1 or more", printable(file.name()).c_str(), key.c_str(),
                 static_cast<long long>(value));
        return value;
    };
    GptConfig c;
    c.layers = size("block_count");
    c.heads = size("attention.head_count");
    c.embd = size("embedding_length");
    c.context = size("context_length");
    c.ffn = size("feed_forward_length");
    c.eps = file.get<float>("gpt2.attention.layer_norm_epsilon");
    const GgufTensor& embedding = file.tensor("token_embd.weight");
    c.vocab = embedding.shape[0];
    c.tied = file.find("output.weight") == nullptr;
    if (!(c.eps >= 0 && c.eps < 1))
        fail("%s: layer_norm_epsilon %g makes no sense", file.name().c_str(), static_cast<double>(c.eps));
    const auto act = file.get_or<std::string>("nib.activation", "gelu_tanh");
    if (act == "gelu_erf")
        c.act = Act::GeluErf;
    else if (act == "relu")
        c.act = Act::Relu;
    else if (act != "gelu_tanh")
        fail("%s: activation `%s` is not supported; nib knows gelu_tanh, gelu_erf and relu", file.name().c_str(),
             printable(act).c_str());
    try {
        check_config(c);
    } catch (const Error& error) {
        fail("%s: %s", file.name().c_str(), error.what());
    }
    return c;
}

void write_config(GgufWriter& file, const GptConfig& c, const std::string& name) {
    const auto size = [&](const char* key, int64_t value) {
        file.set(std::string("gpt2.") + key, static_cast<uint32_t>(value));
    };
    file.set("general.architecture", std::string("gpt2"));
    file.set("general.name", name);
    size("context_length", c.context);
    size("embedding_length", c.embd);
    size("feed_forward_length", c.feed_forward());
    size("block_count", c.layers);
    size("attention.head_count", c.heads);
    file.set("gpt2.attention.layer_norm_epsilon", c.eps);
    // llama.cpp's gpt2 is always gelu_tanh; the key is written only where that would be wrong.
    if (c.act == Act::GeluErf) file.set("nib.activation", std::string("gelu_erf"));
    if (c.act == Act::Relu) file.set("nib.activation", std::string("relu"));
}

}  // namespace nib

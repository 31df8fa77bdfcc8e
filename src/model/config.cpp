#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "model/adapter_file.h"
#include "model/architecture.h"
#include "model/tensor_names.h"

namespace nib {
namespace {

// minGPT's, and GPT-3's of Brown et al. 2020, table 2.1. The heads of XL and the channels of 13B are misprinted there: they
// do not give heads of 128 numbers.
constexpr Preset kPresets[] = {
    {"gpt-nano",    3,  3,  48,    nullptr,      0   },
    {"gpt-micro",   4,  4,  128,   nullptr,      0   },
    {"gpt-mini",    6,  6,  192,   nullptr,      0   },
    {"gopher-44m",  8,  16, 512,   nullptr,      0   },
    {"openai-gpt",  12, 12, 768,   "openai-gpt", 0   },
    {"gpt2",        12, 12, 768,   nullptr,      0   },
    {"gpt2-medium", 24, 16, 1024,  nullptr,      0   },
    {"gpt2-large",  36, 20, 1280,  nullptr,      0   },
    {"gpt2-xl",     48, 25, 1600,  nullptr,      0   },
    {"gpt3-small",  12, 12, 768,   "gpt3",       2048},
    {"gpt3-medium", 24, 16, 1024,  "gpt3",       2048},
    {"gpt3-large",  24, 16, 1536,  "gpt3",       2048},
    {"gpt3-xl",     24, 16, 2048,  "gpt3",       2048},
    {"gpt3-2.7b",   32, 32, 2560,  "gpt3",       2048},
    {"gpt3-6.7b",   32, 32, 4096,  "gpt3",       2048},
    {"gpt3-13b",    40, 40, 5120,  "gpt3",       2048},
    {"gpt3-175b",   96, 96, 12288, "gpt3",       2048},
};

constexpr std::pair<const char*, Act> kActs[] = {
    {"gelu_tanh", Act::GeluTanh},
    {"gelu_erf",  Act::GeluErf },
    {"relu",      Act::Relu    },
    {"silu",      Act::Silu    },
};
constexpr const char *kActKey = "nib.activation", *kPoolingKey = "nib.pooling", *kNormalizeKey = "nib.normalize",
                     *kLongestKey = "nib.max_seq_length", *kMultiLabelKey = "nib.class.multi_label";

// llama.cpp's numbers for what it makes of a text's rows; the last is the head `class`.
enum PoolingType : uint32_t { kNone, kMean, kCls, kLast, kRank };

constexpr std::pair<const char*, Pooling> kPoolings[] = {
    {"none", Pooling::None},
    {"mean", Pooling::Mean},
    {"cls",  Pooling::Cls },
    {"last", Pooling::Last},
    {"max",  Pooling::Max },
};

// Larger than any model that exists, small enough that products of two sizes and the layer count cannot overflow.
constexpr int64_t kMaxSize = int64_t{1} << 24, kMaxLayers = int64_t{1} << 12;

// Of the base and the factor of rotary positions: frequencies divide by both, and every angle must be a finite float.
constexpr float kLeastRope = 1e-6f;

// llama.cpp's keys, which follow the architecture's name, and one of nib's own.
constexpr const char* kWindow = ".attention.sliding_window";
constexpr const char* kPattern = ".attention.sliding_window_pattern";  // whether each layer is local
constexpr const char* kScale = ".attention.scale";
constexpr const char* kDivideByLayer = "nib.attention.divide_by_layer";

void check_attention(const ModelConfig& c) {
    const AttentionConfig& a = c.attention;
    if (a.window < 0 || a.window > kMaxSize)
        fail_usage("an attention window of %lld is out of range; it must be between 1 and %lld",
                   static_cast<long long>(a.window), static_cast<long long>(kMaxSize));
    if (std::ssize(a.local) != (a.window > 0 ? c.layers : 0))
        fail_usage("attention windows are given for %zu layers, but the model has %lld", a.local.size(),
                   static_cast<long long>(c.layers));
    if (!(a.scale >= 0 && std::isfinite(a.scale)))
        fail_usage("attention scores scaled by %g make no sense", static_cast<double>(a.scale));
}

Pooling read_pooling(const GgufFile& file, const std::string& key) {
    if (file.value(kPoolingKey) != nullptr) {
        const auto name = file.get<std::string>(kPoolingKey);
        for (const auto& [known, pooling] : kPoolings)
            if (name == known) return pooling;
        file.wrong("key `" + std::string(kPoolingKey) + "` is `" + printable(name, 60) +
                   "`, a pooling that nib does not know");
    }
    switch (const auto type = file.get_or<uint32_t>(key, kNone)) {
        case kNone:
        case kRank: return Pooling::None;
        case kMean: return Pooling::Mean;
        case kCls: return Pooling::Cls;
        case kLast: return Pooling::Last;
        default: file.wrong(strprintf("key `%s` is %u, a pooling that nib does not know", key.c_str(), type));
    }
}

uint32_t pooling_type(const ModelConfig& c) {
    if (c.find_head("class") != nullptr) return kRank;
    return c.pooling == Pooling::Mean   ? kMean
           : c.pooling == Pooling::Cls  ? kCls
           : c.pooling == Pooling::Last ? kLast
                                        : kNone;
}

}  // namespace

std::vector<std::string> default_labels(int64_t count) {
    std::vector<std::string> labels;
    for (int64_t i = 0; i < count; ++i) labels.push_back("LABEL_" + std::to_string(i));
    return labels;
}

Act read_activation(const GgufFile& file, Act usual) {
    if (file.value(kActKey) == nullptr) return usual;
    const auto name = file.get<std::string>(kActKey);
    std::string names;
    for (const auto& [known, act] : kActs) {
        if (name == known) return act;
        names += (names.empty() ? "" : ", ") + std::string(known);
    }
    file.wrong("activation `" + printable(name) + "` is not supported; nib knows " + names);
}

void write_activation(GgufWriter& file, Act act, Act usual) {
    const auto* found = kActs;
    while (found->second != act) ++found;
    if (act != usual) file.set(kActKey, std::string(found->first));
}

const char* pooling_name(Pooling pooling) {
    const auto* found = kPoolings;
    while (found->second != pooling) ++found;
    return found->first;
}

Pooling find_pooling(const std::string& name) {
    std::string names;
    for (const auto& [known, pooling] : kPoolings) {
        if (name == known) return pooling;
        names += (names.empty() ? "" : ", ") + std::string(known);
    }
    fail("there is no pooling `%s`; nib knows %s", printable(name, 60).c_str(), names.c_str());
}

const HeadConfig* ModelConfig::find_head(std::string_view name) const {
    const auto found =
        std::find_if(task_heads.begin(), task_heads.end(), [&](const HeadConfig& head) { return head.name == name; });
    return found != task_heads.end() ? &*found : nullptr;
}

std::span<const Preset> presets() { return kPresets; }

const Preset& find_preset(const std::string& name) {
    std::string names;
    for (const Preset& preset : kPresets) {
        if (name == preset.name) return preset;
        names += (names.empty() ? "" : ", ") + std::string(preset.name);
    }
    fail_usage("there is no preset `%s`; choose one of: %s", printable(name).c_str(), names.c_str());
}

void check_config(const ModelConfig& c) {
    const auto check = [](const char* what, int64_t value, int64_t limit) {
        if (value < 1 || value > limit)
            fail_usage("%s %lld is out of range; it must be between 1 and %lld", what, static_cast<long long>(value),
                       static_cast<long long>(limit));
    };
    check("number of layers", c.layers, kMaxLayers);
    if (c.encoder_layers != 0) check("number of encoder layers", c.encoder_layers, kMaxLayers);
    if (c.source_vocab != 0) check("source vocabulary", c.source_vocab, kMaxSize);
    check("number of heads", c.heads, kMaxSize);
    check("number of channels", c.embd, kMaxSize);
    check("context", c.context, kMaxSize);
    check("vocabulary", c.vocab, kMaxSize);
    check("feed-forward width", c.feed_forward(), 4 * kMaxSize);
    check("number of key/value heads", c.kv(), c.heads);
    if (c.head_size == 0 && c.embd % c.heads != 0)
        fail_usage("%lld heads do not divide %lld channels, which must be a multiple of them",
                   static_cast<long long>(c.heads), static_cast<long long>(c.embd));
    check("head size", c.head_dim(), kMaxSize / c.heads);
    if (c.segments != 0) check("number of segments", c.segments, kMaxSize);
    for (const HeadConfig& head : c.task_heads) {
        check("number of classes", head.outputs, kMaxSize);
        if (!head.labels.empty() && static_cast<int64_t>(head.labels.size()) != head.outputs)
            fail_usage("there are %s, but the head `%s` has %lld classes",
                       counted(static_cast<int64_t>(head.labels.size()), "label name").c_str(), head.name.c_str(),
                       static_cast<long long>(head.outputs));
    }
    if (c.heads % c.kv() != 0)
        fail_usage("%lld key/value heads do not divide %lld heads, which must be a multiple of them",
                   static_cast<long long>(c.kv()), static_cast<long long>(c.heads));
    check_attention(c);
    if (c.rope.dimensions < 0 || c.rope.dimensions > c.head_dim() || c.rope.dimensions % 2 != 0)
        fail_usage("%lld rotary dimensions make no sense for heads of %lld numbers",
                   static_cast<long long>(c.rope.dimensions), static_cast<long long>(c.head_dim()));
    const RopeConfig& rope = c.rope;
    const bool llama3 = rope.scaling == RopeConfig::Scaling::Llama3;
    const auto usable = [](float x) { return x >= kLeastRope && std::isfinite(x); };
    if (!usable(rope.base) || !usable(rope.factor) ||
        (llama3 && !(rope.original_context > 0 && rope.low_frequency > 0 && rope.low_frequency < rope.high_frequency)))
        fail_usage("rotary positions of base %g and factor %g, from %g to %g turns, make no sense",
                   static_cast<double>(rope.base), static_cast<double>(rope.factor),
                   static_cast<double>(rope.low_frequency), static_cast<double>(rope.high_frequency));
}

void complete_attention(ModelConfig& c) {
    AttentionConfig& a = c.attention;
    if (a.window > 0 && a.local.empty() && c.layers <= kMaxLayers)
        for (int64_t l = 0; l < c.layers; ++l) a.local.push_back(l % 2 != 0);
}

int64_t parameter_count(const ModelConfig& config) {
    int64_t count = 0;
    for (const ParameterSpec& spec : model_parameters(config)) count += spec.shape.elements();
    return count;
}

namespace {

constexpr const char* kMayBeNone = "nib.span.may_be_none";

// Where the names of a head's classes are; empty: it has none.
std::string labels_key(const ModelConfig& c, const HeadConfig& head) {
    if (head.name == "class") return c.arch + ".classifier.output_labels";
    return head.name == "tag" ? "nib.tag.labels" : "";
}

}  // namespace

void name_labels(ModelConfig& c) {
    for (HeadConfig& head : c.task_heads)
        if (head.labels.empty() && !labels_key(c, head).empty()) head.labels = default_labels(head.outputs);
}

ModelConfig read_config(const GgufFile& file) {
    if (AdapterFile::is_adapter(file)) file.wrong("is an adapter, which works with the model that it belongs to only");
    ModelConfig c;
    c.arch = file.get<std::string>("general.architecture");
    if (c.arch == "nib-state")
        file.wrong("is what a training resumes from, not a model; the model has the same name without `.state`");
    const Architecture* const architecture = find_architecture(c.arch);
    if (architecture == nullptr)
        file.wrong("architecture `" + printable(c.arch) + "` is not supported; nib runs " + architecture_names());
    const auto size = [&](const char* key) {
        const auto value = file.get<int64_t>(c.arch + "." + key);
        if (value < 1)  // 0 would mean what is usual
            file.wrong(
                strprintf("key `%s.%s` is %lld; it must be 1 or more", c.arch.c_str(), key, static_cast<long long>(value)));
        return value;
    };
    architecture->defaults(c);
    c.layers = size("block_count");
    c.heads = size("attention.head_count");
    c.embd = size("embedding_length");
    c.context = size("context_length");
    c.ffn = size("feed_forward_length");
    c.vocab = file.tensor(kEmbedding).shape[0];
    c.tied = file.find(kHead) == nullptr;
    for (const HeadTensor& head : architecture->heads)
        if (const GgufTensor* tensor = file.find(head.tensor)) c.task_heads.push_back({head.name, tensor->shape[0], {}});
    for (HeadConfig& head : c.task_heads)
        if (const std::string key = labels_key(c, head); !key.empty() && file.value(key) != nullptr)
            head.labels = file.array<std::string>(key);
    for (HeadConfig& head : c.task_heads) {
        head.multi_label = head.name == "class" && file.get_or<bool>(kMultiLabelKey, false);
        head.may_be_none = head.name == "span" && file.get_or<bool>(kMayBeNone, false);
    }
    name_labels(c);
    c.pooling = read_pooling(file, c.arch + ".pooling_type");
    c.normalize = file.get_or<bool>(kNormalizeKey, c.pooling != Pooling::None);
    c.longest_text = file.get_or<int64_t>(kLongestKey, 0);
    if (c.longest_text < 0 || c.longest_text > c.context)
        file.wrong(strprintf("key `%s` is %lld; the context is %lld", kLongestKey, static_cast<long long>(c.longest_text),
                             static_cast<long long>(c.context)));
    architecture->read(file, c);
    if (!(c.eps >= 0 && c.eps < 1))
        file.wrong(strprintf("an epsilon of %g for norms makes no sense", static_cast<double>(c.eps)));
    try {
        check_config(c);
    } catch (const Error& error) {
        file.wrong(error.what());
    }
    return c;
}

void write_config(GgufWriter& file, const ModelConfig& c, const std::string& name) {
    const auto size = [&](const char* key, int64_t value) { file.set(c.arch + "." + key, static_cast<uint32_t>(value)); };
    file.set("general.architecture", c.arch);
    file.set("general.name", name);
    size("context_length", c.context);
    size("embedding_length", c.embd);
    size("feed_forward_length", c.feed_forward());
    size("block_count", c.layers);
    size("attention.head_count", c.heads);
    if (const uint32_t type = pooling_type(c); type != kNone) file.set(c.arch + ".pooling_type", type);
    if (c.pooling != Pooling::None) {
        file.set(kPoolingKey, std::string(pooling_name(c.pooling)));
        file.set(kNormalizeKey, c.normalize);
    }
    if (c.longest_text > 0) file.set(kLongestKey, static_cast<uint32_t>(c.longest_text));
    for (const HeadConfig& head : c.task_heads) {
        if (const std::string key = labels_key(c, head); !key.empty()) file.set(key, head.labels);
        if (head.multi_label) file.set(kMultiLabelKey, true);
        if (head.may_be_none) file.set(kMayBeNone, true);
    }
    architecture_of(c).write(file, c);
}

void read_attention(const GgufFile& file, ModelConfig& c) {
    AttentionConfig& a = c.attention;
    a.window = file.get_or<int64_t>(c.arch + kWindow, 0);
    if (a.window > 0) a.local = file.array<bool>(c.arch + kPattern);
    a.scale = file.get_or<float>(c.arch + kScale, a.scale);
    a.divide_by_layer = file.get_or<bool>(kDivideByLayer, false);
}

void write_attention(GgufWriter& file, const ModelConfig& c) {
    const AttentionConfig& a = c.attention;
    if (a.window > 0) file.set(c.arch + kWindow, static_cast<uint32_t>(a.window));
    if (a.window > 0) file.set(c.arch + kPattern, a.local);
    if (a.scale > 0) file.set(c.arch + kScale, a.scale);
    if (a.divide_by_layer) file.set(kDivideByLayer, true);
}

}  // namespace nib

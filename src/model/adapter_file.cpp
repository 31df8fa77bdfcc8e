#include "model/adapter_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/hash.h"
#include "model/architecture.h"
#include "model/named_tensors.h"
#include "quant/quantize.h"

namespace nib {
namespace {

constexpr std::string_view kA = ".lora_a", kB = ".lora_b";
constexpr const char *kArchitecture = "general.architecture", *kType = "general.type", *kKind = "adapter.type",
                     *kAlpha = "adapter.lora.alpha", *kBaseCount = "general.base_model.count",
                     *kBase = "general.base_model.0.name", *kFingerprint = "nib.adapter.base",
                     *kHeadSize = "nib.adapter.head_size";
constexpr int64_t kMaxHeadSize = 1 << 20;
constexpr double kMaxAlpha = 1e9;

void add_words(Hash64& hash, std::span<const std::byte> bytes) {
    std::vector<std::byte> words(bytes.begin(), bytes.end());
    words.resize((words.size() + 3) / 4 * 4);
    hash.add(words);
}

// "`a`, `b`, `c` and 57 more".
std::string some_of(const std::vector<std::string>& names) {
    constexpr size_t kNamed = 3;
    std::string text;
    for (size_t i = 0; i < std::min(kNamed, names.size()); ++i) text += (i > 0 ? ", " : "") + names[i];
    return names.size() > kNamed ? text + strprintf(" and %zu more", names.size() - kNamed) : text;
}

}  // namespace

uint64_t base_fingerprint(const ModelConfig& config, const GgufFile& base) {
    Hash64 hash;
    for (const ParameterSpec& spec : model_parameters(config)) {
        add_words(hash, std::as_bytes(std::span(spec.name)));
        add_words(hash, std::as_bytes(std::span(spec.shape.dims).first(static_cast<size_t>(spec.shape.rank))));
        if (spec.shape.rank == 1) add_words(hash, base.tensor(spec.name).data);
    }
    return hash.value();
}

AdapterKeys adapter_keys(const ModelConfig& config, const LoraConfig& lora, const GgufFile& base) {
    return {config.arch, lora.alpha > 0 ? lora.alpha : static_cast<double>(lora.rank),
            base.get_or<std::string>("general.name", ""), config.head_dim(), base_fingerprint(config, base)};
}

void write_adapter_keys(GgufWriter& file, const AdapterKeys& keys) {
    file.set(kArchitecture, keys.arch);
    file.set(kType, std::string("adapter"));
    file.set(kKind, std::string("lora"));
    file.set(kAlpha, static_cast<float>(keys.alpha));
    if (!keys.base.empty()) {
        file.set(kBaseCount, uint32_t{1});
        file.set(kBase, keys.base);
    }
    if (keys.fingerprint) file.set(kFingerprint, *keys.fingerprint);
    if (keys.head_size > 0) file.set(kHeadSize, static_cast<uint32_t>(keys.head_size));
}

bool AdapterFile::is_adapter(const GgufFile& file) { return file.get_or<std::string>(kType, "") == "adapter"; }

AdapterFile::AdapterFile(GgufFile file) : file_(std::move(file)) {
    if (!is_adapter(file_)) file_.wrong("is a model, not an adapter");
    if (const auto kind = file_.get<std::string>(kKind); kind != "lora")
        file_.wrong("is an adapter of kind `" + printable(kind, 40) + "`; nib takes `lora`");
    keys_.arch = file_.get<std::string>(kArchitecture);
    keys_.alpha = file_.get_or<double>(kAlpha, 0);
    if (!(keys_.alpha >= 0 && keys_.alpha <= kMaxAlpha))
        file_.wrong(strprintf("%s is %g; it must be from 0 to %g", kAlpha, keys_.alpha, kMaxAlpha));
    keys_.base = file_.get_or<std::string>(kBase, "");
    keys_.head_size = file_.get_or<int64_t>(kHeadSize, 0);
    if (keys_.head_size < 0 || keys_.head_size > kMaxHeadSize)
        file_.wrong(strprintf("%s makes no sense: %lld", kHeadSize, static_cast<long long>(keys_.head_size)));
    if (file_.value(kFingerprint) != nullptr) keys_.fingerprint = file_.get<uint64_t>(kFingerprint);

    std::map<std::string_view, size_t> known;
    for (const GgufTensor& tensor : file_.tensors()) {
        const std::string_view name = tensor.name;
        const bool is_a = name.ends_with(kA);
        const auto wrong = [&](const std::string& how) { file_.wrong("tensor `" + printable(name) + "` " + how); };
        if (!is_a && !name.ends_with(kB))
            wrong("is no part of a LoRA adapter: its name does not end in .lora_a or .lora_b");
        if (tensor.shape.size() != 2) wrong("has shape " + shape_text(tensor.shape) + "; a matrix was expected");
        if (!quant::can_unpack(tensor.type)) wrong(std::string("has type ") + dtype_info(tensor.type)->name);
        const std::string_view parameter = name.substr(0, name.size() - kA.size());
        const auto [at, added] = known.emplace(parameter, pairs_.size());
        if (added) pairs_.push_back({std::string(parameter), nullptr, nullptr});
        (is_a ? pairs_[at->second].a : pairs_[at->second].b) = &tensor;
    }
    if (pairs_.empty()) file_.wrong("has no tensors");
    for (const Pair& pair : pairs_) {
        if (pair.a == nullptr || pair.b == nullptr)
            file_.wrong("tensor `" + printable(pair.parameter) + std::string(pair.a == nullptr ? kA : kB) + "` is missing");
        if (pair.a->shape[0] != pair.b->shape[1])
            file_.wrong("tensors `" + printable(pair.a->name) + "` " + shape_text(pair.a->shape) + " and `" +
                        printable(pair.b->name) + "` " + shape_text(pair.b->shape) + " are not of one rank");
    }
}

float AdapterFile::scale(const Pair& pair) const {
    LoraConfig lora;
    lora.rank = pair.rank(), lora.alpha = keys_.alpha;
    return lora.scale();
}

std::string adapter_mismatches(const std::string& arch, std::span<const AdaptedMatrix> matrices,
                               const ModelConfig& config) {
    std::vector<std::string> wrong, missing, elsewhere, other;
    if (arch != config.arch) wrong.push_back("it is for a " + printable(arch, 40) + ", not a " + config.arch);
    const std::vector<ParameterSpec> specs = model_parameters(config);
    for (const AdaptedMatrix& matrix : matrices) {
        const auto spec =
            std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name == matrix.parameter; });
        const std::string name = "`" + printable(matrix.parameter, 80) + "`";
        if (spec == specs.end())
            missing.push_back(name);
        else if (!is_lora_target(*spec))
            elsewhere.push_back(name);
        else if (spec->shape != Shape{matrix.N, matrix.C})
            other.push_back(name + " is " + spec->shape.text() + " there, " + Shape{matrix.N, matrix.C}.text() + " here");
    }
    if (!missing.empty()) wrong.push_back("the model has no " + some_of(missing));
    if (!elsewhere.empty()) wrong.push_back("nib adapts linear layers of blocks only, not " + some_of(elsewhere));
    if (!other.empty()) wrong.push_back(some_of(other));
    std::string text;
    for (const std::string& problem : wrong) text += (text.empty() ? "" : "; ") + problem;
    return text;
}

void AdapterFile::check_base(const ModelConfig& config, const GgufFile& base) const {
    std::vector<AdaptedMatrix> matrices;
    for (const Pair& pair : pairs_) matrices.push_back({pair.parameter, pair.b->shape[0], pair.a->shape[1]});
    std::string wrong = adapter_mismatches(keys_.arch, matrices, config);
    if (wrong.empty() && keys_.fingerprint && *keys_.fingerprint != base_fingerprint(config, base))
        wrong = "it was trained on another model" + (keys_.base.empty() ? "" : ", `" + printable(keys_.base, 100) + "`") +
                ": its norms or biases have other numbers";
    if (!wrong.empty()) file_.wrong("is no adapter of " + printable(base.name(), 400) + ": " + wrong);
}

void AdapterFile::attach(Weights& weights, const ModelConfig& config, int buffer, float scale) const {
    const std::vector<ParameterSpec> specs = model_parameters(config);
    const auto weight = [&](const GgufTensor& t) {
        const auto offset = static_cast<size_t>(t.data.data() - file_.bytes().data());
        return Weight{
            t.name, {t.shape[0], t.shape[1]},
             t.type, {buffer,          offset},
             {               },
             false
        };
    };
    for (const Pair& pair : pairs_) {
        const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name == pair.parameter; });
        CHECK(spec != specs.end());
        weights.adapt(static_cast<size_t>(spec - specs.begin()),
                      {weight(*pair.a), weight(*pair.b), scale * this->scale(pair), 0});
    }
}

}  // namespace nib

#include "model/peft.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint_source.h"
#include "io/json_value.h"
#include "io/read_file.h"
#include "io/safetensors.h"
#include "model/adapter_file.h"
#include "model/architecture.h"
#include "model/encode.h"
#include "model/hf_config.h"
#include "model/layouts.h"
#include "model/output_folder.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

constexpr const char *kConfigFile = "adapter_config.json", *kWeightsFile = "adapter_model.safetensors",
                     *kTorchFile = "adapter_model.bin";
constexpr const char* kFiles[] = {kConfigFile, kWeightsFile, kTorchFile};
constexpr size_t kMostConfig = size_t{1} << 24;
constexpr std::string_view kPrefix = "base_model.model.", kA = ".lora_A", kB = ".lora_B", kWeight = ".weight";
constexpr std::string_view kGgufA = ".lora_a", kGgufB = ".lora_b";

// Options that make an adapter more than plain LoRA, unless they are false, null, zero or empty.
constexpr const char* kRefused[] = {"use_dora",
                                    "use_qalora",
                                    "use_bdlora",
                                    "lora_bias",
                                    "modules_to_save",
                                    "alpha_pattern",
                                    "layer_replication",
                                    "target_parameters",
                                    "trainable_token_indices",
                                    "alora_invocation_tokens"};
// First values that change the model, too (PiSSA and its kin).
constexpr std::string_view kChangesModel[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};

fs::path folder_of(const std::string& path) {
    std::error_code error;
    return fs::is_directory(path, error) ? fs::path(path) : fs::path(path).parent_path();
}

// ---- from PEFT -------------------------------------------------------------------------------------------------------

struct PeftConfig {
    int64_t rank = 0;
    double alpha = 0;
    bool by_root = false;        // rsLoRA: alpha / sqrt(r) times
    bool several_ranks = false;  // some modules have another one
    std::string base, model_class;
};

bool is_off(const nlohmann::json& value) {
    return value.is_null() || value == false || value == 0 || ((value.is_array() || value.is_object()) && value.empty());
}

PeftConfig read_peft_config(const std::string& path) {
    const std::string shown = printable(path, 400);
    const nlohmann::json whole = parse_json(read_file(path, kMostConfig), shown);
    const JsonValue json(whole, shown + ":");
    if (const JsonValue type = json.get("peft_type"); type.text() != "LORA") refuse_option(type, type.text());
    for (const char* key : kRefused)
        if (const auto value = json.find(key); value && !is_off(value->raw())) refuse_option(*value, value->raw().dump());
    if (const auto bias = json.find("bias"); bias && bias->text() != "none") refuse_option(*bias, bias->text());
    if (const auto first = json.find("init_lora_weights"); first && first->raw().is_string())
        for (const std::string_view kind : kChangesModel)
            if (first->text().starts_with(kind)) refuse_option(*first, first->text());
    PeftConfig c;
    c.rank = json.get("r").whole_number("a rank", 1 << 16);
    const JsonValue alpha = json.get("lora_alpha");
    c.alpha = alpha.number();
    if (!(c.alpha > 0)) alpha.wrong("a positive number");
    c.by_root = json.truth_or("use_rslora", false);
    if (const auto ranks = json.find("rank_pattern")) c.several_ranks = !is_off(ranks->raw());
    c.base = json.text_or("base_model_name_or_path", "");
    if (const auto mapping = json.find("auto_mapping")) c.model_class = mapping->text_or("base_model_class", "");
    return c;
}

// The two tensors of a module ("transformer.h.0.attn.c_attn").
struct Module {
    const SourceTensor *a = nullptr, *b = nullptr;
};

std::map<std::string, Module> modules_of(const CheckpointSource& source) {
    std::map<std::string, Module> modules;
    for (const SourceTensor& tensor : source.tensors()) {
        std::string_view name = tensor.name;
        const size_t at = std::min(name.rfind(kA), name.rfind(kB));
        const auto wrong = [&](const std::string& how) {
            fail("%s: tensor `%s` %s", tensor.file.c_str(), printable(tensor.name).c_str(), how.c_str());
        };
        const std::string_view ending = at == name.npos ? name : name.substr(at + kA.size());
        if (at == name.npos || (ending != kWeight && ending != ".default.weight"))
            wrong("is no part of a plain LoRA adapter");
        if (tensor.shape.size() != 2 || tensor.elements() == 0)
            wrong("has " + counted(static_cast<int64_t>(tensor.shape.size()), "dimension") + "; a matrix was expected");
        const bool is_a = name.substr(at).starts_with(kA);
        name = name.substr(0, at);
        if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
        Module& module = modules[std::string(name)];
        (is_a ? module.a : module.b) = &tensor;
    }
    for (const auto& [name, module] : modules)
        if (module.a == nullptr || module.b == nullptr || module.a->shape[0] != module.b->shape[1])
            fail("%s: `%s` has no two matrices of one rank, lora_A and lora_B", printable(source.path(), 400).c_str(),
                 printable(name).c_str());
    if (modules.empty()) fail("%s: has no tensors", printable(source.path(), 400).c_str());
    return modules;
}

// The parameter that transformers' module is in this family, whatever wraps the model; empty: it is none.
std::string parameter_of_module(const Architecture& family, std::string_view module) {
    const std::string whole = std::string(module) + std::string(kWeight);
    for (std::string_view rest = whole; !rest.empty();) {
        if (std::string name = parameter_of(family.checkpoints->layouts[0], rest); !name.empty()) return name;
        const size_t dot = rest.find('.');
        rest = dot == rest.npos ? std::string_view() : rest.substr(dot + 1);
    }
    return "";
}

// Whose class it is: the family with the longest beginning of its name.
const Architecture* family_of_class(const std::string& name) {
    const Architecture* best = nullptr;
    size_t length = 0;
    for (const Architecture* family : architectures())
        for (const HfType& type : family->checkpoints ? family->checkpoints->types : std::span<const HfType>())
            if (const std::string_view prefix = type.class_prefix; name.starts_with(prefix) && prefix.size() > length)
                best = family, length = prefix.size();
    return best;
}

const Architecture& family_of(const PeftConfig& config, const std::map<std::string, Module>& modules,
                              const std::string& path) {
    if (const Architecture* said = family_of_class(config.model_class)) return *said;
    std::vector<const Architecture*> fitting;
    for (const Architecture* family : architectures())
        if (family->checkpoints != nullptr && std::all_of(modules.begin(), modules.end(), [&](const auto& module) {
                return !parameter_of_module(*family, module.first).empty();
            }))
            fitting.push_back(family);
    if (fitting.empty())
        fail("%s: `%s` is a module of no model that nib converts", path.c_str(), printable(modules.begin()->first).c_str());
    std::string names;
    for (const Architecture* family : fitting) names += (names.empty() ? "" : " or ") + std::string(family->name);
    if (fitting.size() > 1) fail_with(Remedy::GiveBase, "%s: may be for a %s", path.c_str(), names.c_str());
    return *fitting[0];
}

bool has_turned_rows(const Architecture& family, const ModelConfig& config, const std::string& parameter) {
    return config.rope.interleaved && first_row_of(family.checkpoints->layouts[0], parameter).order == Order::Halves;
}

// A configuration in which heads have this size: all that the order of rows depends on.
ModelConfig config_of_heads(const Architecture& family, int64_t head_size) {
    ModelConfig config;
    config.arch = family.name;
    family.defaults(config);
    config.head_size = head_size;
    return config;
}

struct ImportedPair {
    std::string parameter;
    int64_t N, C, rank;
    SourceTensor a, b;
};

// In the order of the model's parameters.
void sort_pairs(std::vector<ImportedPair>& pairs, const ModelConfig& config) {
    std::map<std::string, size_t> order;
    for (const ParameterSpec& spec : model_parameters(config)) order.emplace(spec.name, order.size());
    std::sort(pairs.begin(), pairs.end(),
              [&](const auto& x, const auto& y) { return order.at(x.parameter) < order.at(y.parameter); });
}

}  // namespace

bool is_peft_adapter(const std::string& path) {
    const fs::path folder = folder_of(path);
    std::error_code error;
    if (!fs::exists(folder / kConfigFile, error)) return false;
    if (fs::is_directory(path, error))
        return fs::exists(folder / kWeightsFile, error) || fs::exists(folder / kTorchFile, error);
    return fs::path(path).filename() == kWeightsFile || fs::path(path).filename() == kTorchFile;
}

ConvertResult convert_adapter(const ConvertRequest& request, const ConvertReports& reports) {
    const fs::path folder = folder_of(request.input);
    std::error_code error;
    const fs::path weights = !fs::is_directory(request.input, error)    ? fs::path(request.input)
                             : fs::exists(folder / kWeightsFile, error) ? folder / kWeightsFile
                                                                        : folder / kTorchFile;
    const CheckpointSource source = CheckpointSource::open(weights.string());
    const PeftConfig peft = read_peft_config((folder / kConfigFile).string());
    refuse_existing_output(request.output, request.overwrite);
    const std::string path = printable(request.input, 400);
    const std::map<std::string, Module> modules = modules_of(source);
    std::optional<GgufFile> base;
    if (!request.base.empty()) base = GgufFile::open(request.base);
    const Architecture& family = base ? architecture_of(read_config(*base)) : family_of(peft, modules, path);
    const ModelConfig config = base ? read_config(*base) : config_of_heads(family, 0);

    std::vector<ImportedPair> pairs;
    std::vector<AdaptedMatrix> matrices;
    bool one_rank = true;
    for (const auto& [name, module] : modules) {
        const std::string parameter = family.checkpoints ? parameter_of_module(family, name) : "";
        if (parameter.empty()) fail("%s: `%s` is no module of a %s", path.c_str(), printable(name).c_str(), family.name);
        for (const SourceTensor* tensor : {module.a, module.b})
            if (!tensor->readable()) tensor->read(0, {});  // says why
        if (!base && has_turned_rows(family, config, parameter))
            fail_with(Remedy::GiveBase, "%s: the order of the rows of `%s` depends on the model's heads", path.c_str(),
                      printable(name).c_str());
        pairs.push_back({parameter, module.b->shape[0], module.a->shape[1], module.a->shape[0], *module.a, *module.b});
        matrices.push_back({parameter, module.b->shape[0], module.a->shape[1]});
        one_rank = one_rank && module.a->shape[0] == peft.rank;
    }
    if (!one_rank && !peft.several_ranks)
        fail("%s: its matrices have another rank than %s says", path.c_str(), kConfigFile);
    if (!one_rank && peft.by_root) fail("%s: use_rslora with several ranks is not supported", path.c_str());
    if (base)
        if (const std::string wrong = adapter_mismatches(family.name, matrices, config); !wrong.empty())
            fail("%s: is no adapter of %s: %s", path.c_str(), printable(request.base, 400).c_str(), wrong.c_str());
    if (base) sort_pairs(pairs, config);

    const SourceType first = pairs[0].a.type;
    const DType type = request.type.value_or(first == SourceType::F16    ? DType::F16
                                             : first == SourceType::BF16 ? DType::BF16
                                                                         : DType::F32);
    AdapterKeys keys;
    keys.arch = family.name, keys.base = peft.base;
    keys.alpha = peft.by_root ? peft.alpha * std::sqrt(static_cast<double>(peft.rank)) : peft.alpha;
    if (base) keys.head_size = config.head_dim(), keys.fingerprint = base_fingerprint(config, *base);
    int64_t elements = 0;
    for (ImportedPair& pair : pairs) {
        elements += pair.a.elements() + pair.b.elements();
        if (has_turned_rows(family, config, pair.parameter)) pair.b = as_parameter(pair.b, Order::Halves, config);
    }
    GgufWriter writer;
    write_adapter_keys(writer, keys);
    Encoder encoder(request.threads, elements, reports.progress);
    const auto add = [&](const std::string& name, const SourceTensor& tensor, const std::vector<int64_t>& shape) {
        writer.add(name, type, shape, [&, name, shape](const GgufWriter::Sink& sink) {
            const auto read = [&](int64_t at, std::span<float> out) { tensor.read(at, out); };
            encoder.encode(name, type, shape, read, sink);
        });
    };
    for (const ImportedPair& pair : pairs) {
        add(pair.parameter + std::string(kGgufA), pair.a, {pair.rank, pair.C});
        add(pair.parameter + std::string(kGgufB), pair.b, {pair.N, pair.rank});
    }
    return write_file(writer, request, type, elements, encoder, reports);
}

// ---- to PEFT ---------------------------------------------------------------------------------------------------------

namespace {

struct ExportedMatrix {
    std::string name;  // PEFT's
    const GgufTensor* from;
    bool turned;  // its rows are those of rotary heads
};

std::string last_component(const std::string& module) { return module.substr(module.rfind('.') + 1); }

// As short as they can be: the last part of a module's name where each module that ends so is adapted, else all of it. What
// there could be in a block is known from the layout; blocks are those that have any adapter.
std::vector<std::string> target_modules(const Layout& layout, const std::vector<std::string>& modules,
                                        const std::vector<std::string>& parameters) {
    std::map<std::string, size_t> adapted, possible;  // modules by their last part
    std::vector<std::string> blocks, targets;
    for (size_t i = 0; i < modules.size(); ++i) {
        ++adapted[last_component(modules[i])];
        const std::string block = parameters[i].substr(0, parameters[i].find('.', parameters[i].find("blk.") + 4));
        if (std::find(blocks.begin(), blocks.end(), block) == blocks.end()) blocks.push_back(block);
    }
    const size_t last = blocks.size();
    for (const StoredAs& row : layout.body) {
        const size_t number = row.parameter.find('#');
        if (number == std::string_view::npos) continue;
        const std::string module = last_component(std::string(row.parts[0]));
        const std::string_view prefix = row.parameter.substr(0, number);
        possible[module] += static_cast<size_t>(
            std::count_if(blocks.begin(), blocks.end(), [&](const std::string& b) { return b.starts_with(prefix); }));
    }
    for (const std::string& module : modules) {
        const std::string end = last_component(module);
        const bool all = last > 0 && adapted[end] == possible[end];
        const std::string& target = all ? end : module;
        if (std::find(targets.begin(), targets.end(), target) == targets.end()) targets.push_back(target);
    }
    return targets;
}

std::string peft_config_text(const AdapterFile& adapter, const Architecture& family, std::vector<std::string> targets,
                             bool fan_in_fan_out) {
    const int64_t rank = adapter.pairs()[0].rank();
    const double alpha = adapter.keys().alpha > 0 ? adapter.keys().alpha : static_cast<double>(rank);
    nlohmann::json json = {
        {"peft_type",         "LORA"        },
        {"r",                 rank          },
        {"lora_dropout",      0.0           },
        {"bias",              "none"        },
        {"fan_in_fan_out",    fan_in_fan_out},
        {"inference_mode",    true          },
        {"init_lora_weights", true          },
        {"use_dora",          false         },
        {"use_rslora",        false         },
    };
    json["lora_alpha"] = shortest(static_cast<float>(alpha));
    if (alpha == std::floor(alpha) && alpha < 1e9) json["lora_alpha"] = static_cast<int64_t>(alpha);
    std::sort(targets.begin(), targets.end());
    json["target_modules"] = targets;
    json["modules_to_save"] = nullptr;
    json["task_type"] = family.has_encoder    ? nlohmann::json("SEQ_2_SEQ_LM")
                        : family.encoder_only ? nlohmann::json()
                                              : nlohmann::json("CAUSAL_LM");
    const std::string& base = adapter.keys().base;
    json["base_model_name_or_path"] = base.empty() ? nlohmann::json() : nlohmann::json(printable(base));
    return json.dump(2) + "\n";
}

}  // namespace

ConvertResult export_adapter(const ExportRequest& request, const ConvertReports& reports) {
    const AdapterFile adapter(GgufFile::open(request.input));
    const GgufFile& file = adapter.file();
    const Architecture* const family = find_architecture(adapter.keys().arch);
    if (family == nullptr || family->checkpoints == nullptr)
        file.wrong("is for a `" + printable(adapter.keys().arch, 40) + "`, which transformers has not");
    ModelConfig config = config_of_heads(*family, adapter.keys().head_size);
    bool with_head = true;
    if (!request.base.empty()) {
        const GgufFile base = GgufFile::open(request.base);
        config = read_config(base);
        adapter.check_base(config, base);
        with_head = !make_model(config)->heads().empty();
    }
    const Layout& layout = family->checkpoints->layouts[0];
    std::vector<ExportedMatrix> matrices;
    std::vector<std::string> modules, parameters;
    bool conv1d = false;
    const int64_t rank = adapter.pairs()[0].rank();
    for (const AdapterFile::Pair& pair : adapter.pairs()) {
        if (rows_of(layout, pair.parameter).empty() || !pair.parameter.ends_with(kWeight))
            file.wrong("`" + printable(pair.parameter) + "` is no matrix of a " + family->name);
        if (pair.rank() != rank) file.wrong("has adapters of several ranks, which nib does not export");
        const bool turned = has_turned_rows(*family, config, pair.parameter);
        if (turned && config.head_size == 0 && request.base.empty())
            fail_with(Remedy::GiveBase, "%s: the order of the rows of `%s` depends on the model's heads",
                      printable(file.name(), 400).c_str(), printable(pair.parameter).c_str());
        if (turned && (pair.b->shape[0] % config.head_dim() != 0 || config.head_dim() % 2 != 0))
            file.wrong("tensor `" + printable(pair.b->name) + "` has rows of no whole number of heads");
        std::string module = hf_name(layout, pair.parameter, with_head);
        module.resize(module.size() - kWeight.size());
        const std::string name = std::string(kPrefix) + module;
        matrices.push_back({name + std::string(kA) + std::string(kWeight), pair.a, false});
        matrices.push_back({name + std::string(kB) + std::string(kWeight), pair.b, turned});
        conv1d = conv1d || first_row_of(layout, pair.parameter).order == Order::Conv1d;
        modules.push_back(std::move(module));
        parameters.push_back(pair.parameter);
    }
    std::sort(matrices.begin(), matrices.end(), [](const auto& x, const auto& y) { return x.name < y.name; });
    const DType type = request.type.value_or(is_plain(matrices[0].from->type) ? matrices[0].from->type : DType::F32);

    std::vector<SafetensorsEntry> entries;
    int64_t elements = 0;
    for (const ExportedMatrix& m : matrices) {
        entries.push_back({m.name, source_type(type), m.from->shape});
        elements += m.from->shape[0] * m.from->shape[1];
    }
    OutputFolder folder(request.output, request.overwrite);
    OutputFiles files(folder);
    AtomicFile& weights = files.add(kWeightsFile);
    const std::string header = safetensors_header(entries);
    weights.write(std::as_bytes(std::span(header)));
    Encoder encoder(request.threads, elements, reports.progress);
    uint64_t bytes = header.size();
    for (const ExportedMatrix& m : matrices) {
        std::vector<float> values;
        SourceTensor tensor = open_tensor(*m.from, values);
        if (m.turned) tensor = as_stored(tensor, Order::Halves, config);
        encoder.encode(
            m.from->name, type, m.from->shape, [&](int64_t at, std::span<float> out) { tensor.read(at, out); },
            [&](std::span<const std::byte> piece) {
                bytes += piece.size();
                weights.write(piece);
            });
    }
    files.add(kConfigFile, peft_config_text(adapter, *family, target_modules(layout, modules, parameters), conv1d));
    files.publish(kFiles);
    for (const std::string& finding : encoder.findings()) reports.warn(finding);
    return {type, elements, bytes};
}

}  // namespace nib

#include "model/sentence_transformers.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/error.h"
#include "io/json_value.h"
#include "io/read_file.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModules = "modules.json";
constexpr const char *kTransformerConfig = "sentence_bert_config.json", *kLongest = "max_seq_length";
constexpr size_t kMostBytes = 1 << 20;

// Keys of the pooling's config.json; without a pooling: nib does not compute it.
constexpr std::pair<const char*, Pooling> kModes[] = {
    {"pooling_mode_cls_token",            Pooling::Cls },
    {"pooling_mode_mean_tokens",          Pooling::Mean},
    {"pooling_mode_max_tokens",           Pooling::Max },
    {"pooling_mode_lasttoken",            Pooling::Last},
    {"pooling_mode_mean_sqrt_len_tokens", Pooling::None},
    {"pooling_mode_weightedmean_tokens",  Pooling::None},
};

nlohmann::json read_json(const fs::path& path) {
    return parse_json(read_file(path.string(), kMostBytes), printable(path.string(), 400));
}

Pooling read_pooling(const fs::path& file) {
    const nlohmann::json raw = read_json(file);
    const JsonValue json(raw, printable(file.string(), 400) + ":");
    Pooling pooling = Pooling::None;
    if (const auto name = json.find("pooling_mode"); name && name->raw().is_string()) {  // since version 5
        if (name->text() == "lasttoken") return Pooling::Last;
        return find_pooling(name->text());
    }
    for (const auto& [key, mode] : kModes) {
        if (!json.truth_or(key, false)) continue;
        if (mode == Pooling::None || pooling != Pooling::None)
            fail("%s %s is not supported; nib pools by one of mean, cls, max and last", json.where().c_str(), key);
        pooling = mode;
    }
    if (pooling == Pooling::None) fail("%s names no pooling", json.where().c_str());
    return pooling;
}

// As many tokens as the context has need no limit of their own: 0.
int64_t read_longest_text(const fs::path& file, int64_t context) {
    std::error_code error;
    if (!fs::exists(file, error)) return 0;
    const nlohmann::json raw = read_json(file);
    const JsonValue json(raw, printable(file.string(), 400) + ":");
    const auto longest = json.find(kLongest);
    if (!longest || longest->raw().is_null()) return 0;
    const int64_t tokens = longest->whole_number("a number of tokens", INT32_MAX);
    if (tokens < 1) longest->wrong("a number of tokens");
    return tokens < context ? tokens : 0;
}

}  // namespace

void read_sentence_transformers(const std::string& folder, ModelConfig& config) {
    const fs::path file = fs::path(folder) / kModules;
    std::error_code error;
    if (!fs::exists(file, error)) return;
    const nlohmann::json raw = read_json(file);
    const JsonValue modules(raw, printable(file.string(), 400) + ":");
    if (!raw.is_array()) modules.wrong("a list of modules");
    for (size_t i = 0; i < modules.items(); ++i) {
        const JsonValue module = modules.at(i);
        const std::string type = module.get("type").text(), name = type.substr(type.rfind('.') + 1);
        if (name == "Pooling")
            config.pooling = read_pooling(fs::path(folder) / module.get("path").text() / "config.json");
        else if (name == "Normalize")
            config.normalize = true;
        else if (name == "Transformer")
            config.longest_text =
                read_longest_text(fs::path(folder) / module.get("path").text() / kTransformerConfig, config.context);
        else
            fail("%s: module `%s` is not supported; nib computes Transformer, Pooling and Normalize",
                 module.where().c_str(), printable(type, 100).c_str());
    }
    if (config.pooling == Pooling::None) config.normalize = false;
}

std::vector<std::pair<std::string, std::string>> sentence_transformers_files(const ModelConfig& c) {
    if (c.pooling == Pooling::None) return {};
    nlohmann::json modules = nlohmann::json::array();
    const auto add = [&](const char* path, const char* name) {
        const auto index = modules.size();
        modules.push_back({
            {"idx",  index                                              },
            {"name", std::to_string(index)                              },
            {"path", path                                               },
            {"type", "sentence_transformers.models." + std::string(name)},
        });
    };
    add("", "Transformer");
    add("1_Pooling", "Pooling");
    if (c.normalize) add("2_Normalize", "Normalize");
    nlohmann::json pooling = {
        {"word_embedding_dimension", c.embd}
    };
    for (const auto& [key, mode] : kModes) pooling[key] = mode == c.pooling && mode != Pooling::None;
    std::vector<std::pair<std::string, std::string>> files = {
        {"1_Pooling/config.json", pooling.dump(2) + "\n"},
        {kModules,                modules.dump(2) + "\n"},
    };
    if (c.longest_text > 0) {
        const nlohmann::json transformer = {
            {kLongest,        c.longest_text},
            {"do_lower_case", false         }
        };
        files.emplace_back(kTransformerConfig, transformer.dump(2) + "\n");
    }
    return files;
}

}  // namespace nib

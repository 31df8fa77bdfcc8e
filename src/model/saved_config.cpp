#include "model/saved_config.h"

#include <algorithm>
#include <deque>
#include <limits>

#include "core/error.h"

namespace nib {
namespace {

using Kind = PickleValue::Kind;

// Where programs save it; looked at before all else, and the only parts of an object that are.
constexpr const char* kPlaces[] = {"model_args", "config", "args", "hyper_parameters", "model"};
constexpr size_t kDeepest = 3, kMostEntries = 1 << 17;
constexpr size_t kObject = kMostEntries / 16;  // what an object counts for: its size is not known

struct Place {
    const PickleValue* value;
    std::string name;
    size_t depth;
};

std::optional<int64_t> size_in(const PickleValue& dict, const char* key) {
    const PickleValue* value = dict.find(key);
    const auto size = value != nullptr ? value->integer() : std::nullopt;
    return size && *size > 0 && *size <= std::numeric_limits<int32_t>::max() ? size : std::nullopt;
}

SavedConfig read_dict(const Place& place, const CheckpointFormat& format) {
    const PickleValue& dict = *place.value;
    SavedConfig c;
    c.where = "`" + printable(place.name, 60) + "` in the file";
    for (const SizeKeys& keys : format.sizes)
        for (const char* key : keys.names)
            if (const auto size = key != nullptr ? size_in(dict, key) : std::nullopt) c.add(keys.size, key, *size);
    for (const char* key : format.eps_keys) {
        const PickleValue* eps = key != nullptr ? dict.find(key) : nullptr;
        const double value = eps != nullptr ? eps->number().value_or(-1) : -1;
        if (!c.eps && value >= 0 && value < 1) c.eps = static_cast<float>(value);
    }
    const PickleValue* act = dict.find(format.act_key);
    if (act != nullptr && act->text()) c.activation = *act->text();
    const PickleValue* type = dict.find("model_type");
    if (type != nullptr && type->text() && take_preset(c, *type->text())) c.program = "minGPT";
    const bool nano = place.name == "model_args" || (dict.find("block_size") && dict.find("bias"));
    if (c.program.empty() && nano) c.program = "nanoGPT";
    return c;
}

}  // namespace

const SavedSize* SavedConfig::find(int64_t ModelConfig::*size) const {
    const auto found = std::find_if(sizes.begin(), sizes.end(), [&](const SavedSize& s) { return s.size == size; });
    return found != sizes.end() ? &*found : nullptr;
}

void SavedConfig::add(int64_t ModelConfig::*size, const char* key, int64_t value) {
    if (find(size) == nullptr) sizes.push_back({size, key, value});
}

bool take_preset(SavedConfig& config, std::string_view name) {
    const auto all = presets();
    const auto preset =
        std::find_if(all.begin(), all.end(), [&](const Preset& p) { return name == p.name && p.context == 0; });
    if (preset == all.end()) return false;
    config.add(&ModelConfig::layers, "n_layer", preset->layers);
    config.add(&ModelConfig::heads, "n_head", preset->heads);
    config.add(&ModelConfig::embd, "n_embd", preset->embd);
    return true;
}

SavedConfig header_config(const std::vector<std::pair<std::string, int64_t>>& header, const CheckpointFormat& format) {
    SavedConfig c;
    c.where = "the header of the file";
    for (const auto& [name, value] : header)
        for (const SizeKeys& keys : format.sizes)
            for (const char* key : keys.names)
                if (key != nullptr && name == key) c.add(keys.size, key, value);
    return c;
}

std::optional<SavedConfig> pickled_config(const PickleValue& root, const CheckpointFormat& format, int64_t embd) {
    std::deque<Place> places;
    const auto add = [&](const PickleValue* value, std::string_view name, size_t depth) {
        if (value != nullptr && (value->kind() == Kind::Dict || value->kind() == Kind::Object) && depth <= kDeepest)
            places.push_back({value, std::string(name), depth});
    };
    for (const char* name : kPlaces) add(root.find(name), name, 1);
    add(&root, "the top", 0);
    size_t left = kMostEntries;  // dicts may be shared: a small file can hold very many
    for (; !places.empty(); places.pop_front()) {
        const Place place = places.front();
        const bool dict = place.value->kind() == Kind::Dict;
        const size_t cost = dict ? place.value->entries().size() : kObject;
        if (cost > left) break;
        left -= cost;
        SavedConfig config = read_dict(place, format);
        const SavedSize* const channels = config.find(&ModelConfig::embd);
        if (config.find(&ModelConfig::heads) && (channels == nullptr || channels->value == embd)) return config;
        if (dict) {
            for (const PickleItem& item : place.value->entries())
                if (item.key->kind() == Kind::Text) add(item.value, *item.key->text(), place.depth + 1);
        } else {
            for (const char* name : kPlaces) add(place.value->find(name), name, place.depth + 1);
        }
    }
    return std::nullopt;
}

}  // namespace nib

#include "model/saved_config.h"

#include <algorithm>
#include <deque>
#include <limits>

#include "core/error.h"

namespace nib {
namespace {

using Kind = PickleValue::Kind;

constexpr SizeKeys kSizes[] = {
    {&SavedConfig::layers,  {"n_layer", "num_hidden_layers", "n_layers", "num_layers"}                         },
    {&SavedConfig::heads,   {"n_head", "num_attention_heads", "n_heads", "num_heads"}                          },
    {&SavedConfig::embd,    {"n_embd", "hidden_size", "emb_dim", "d_model"}                                    },
    {&SavedConfig::context, {"n_positions", "max_position_embeddings", "block_size", "context_length", "n_ctx"}},
    {&SavedConfig::vocab,   {"vocab_size"}                                                                     },
    {&SavedConfig::ffn,     {"n_inner"}                                                                        },
};

// Where programs save it; looked at before all else, and the only parts of an object that are.
constexpr const char* kPlaces[] = {"model_args", "config", "args", "hyper_parameters", "model"};
constexpr size_t kDeepest = 3, kMostEntries = 1 << 17;
constexpr size_t kObject = kMostEntries / 16;  // what an object counts for: its size is not known

struct Place {
    const PickleValue* value;
    std::string name;
    size_t depth;
};

std::optional<int64_t> size_in(const PickleValue& dict, const SizeKeys& keys) {
    for (const char* key : keys.names) {
        const PickleValue* value = key != nullptr ? dict.find(key) : nullptr;
        const auto size = value != nullptr ? value->integer() : std::nullopt;
        if (size && *size > 0 && *size <= std::numeric_limits<int32_t>::max()) return size;
    }
    return std::nullopt;
}

SavedConfig read_dict(const Place& place) {
    SavedConfig c;
    c.where = "`" + printable(place.name, 60) + "` in the file";
    for (const SizeKeys& keys : kSizes) c.*keys.size = size_in(*place.value, keys);
    const PickleValue* act = place.value->find("activation_function");
    if (act != nullptr && act->text()) c.activation = *act->text();
    const PickleValue* type = place.value->find("model_type");
    if (type != nullptr && type->text() && take_preset(c, *type->text())) c.program = "minGPT";
    const bool nano = place.name == "model_args" || (place.value->find("block_size") && place.value->find("bias"));
    if (c.program.empty() && nano) c.program = "nanoGPT";
    return c;
}

}  // namespace

std::span<const SizeKeys> size_keys() { return kSizes; }

bool take_preset(SavedConfig& config, std::string_view name) {
    const auto all = presets();
    const auto preset = std::find_if(all.begin(), all.end(), [&](const Preset& p) { return name == p.name; });
    if (preset == all.end()) return false;
    if (!config.layers) config.layers = preset->layers;
    if (!config.heads) config.heads = preset->heads;
    if (!config.embd) config.embd = preset->embd;
    return true;
}

std::optional<SavedConfig> pickled_config(const PickleValue& root, int64_t embd) {
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
        SavedConfig config = read_dict(place);
        if (config.heads && config.embd.value_or(embd) == embd) return config;
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

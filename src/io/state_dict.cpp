#include "io/state_dict.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <limits>
#include <unordered_set>

#include "core/error.h"

namespace nib {
namespace {

using Kind = PickleValue::Kind;

// Usual keys of the weights of the model itself, the likeliest first.
constexpr std::string_view kUsualKeys[] = {"model", "state_dict", "model_state_dict", "model_state", "module",
                                           "net",   "network",    "weights",          "params",      "state"};
constexpr size_t kMaxDepth = 8;

// A value and the path to it.
struct Place {
    const PickleValue* value;
    size_t parent, depth;  // the parent of the root is the root
    std::string_view key;
    size_t index;  // in a list or tuple, where there is no key
};

bool is_weight(const PickleTensor& tensor) {
    return !tensor.shape->elements().empty() && (is_floating_point(tensor.type) || tensor.type == SourceType::Unknown);
}

// 2 for a dict of weights, 1 for one of other tensors only, such as losses and generator states, 0 for anything else.
int rank_of(const PickleValue& value) {
    int rank = 0;
    for (const PickleItem& item : value.entries()) {
        const PickleTensor* tensor = item.key->kind() == Kind::Text ? item.value->tensor() : nullptr;
        if (tensor != nullptr) rank = std::max(rank, is_weight(*tensor) ? 2 : 1);
    }
    return rank;
}

bool is_of_optimizer(std::string_view key, const PickleValue& value) {
    std::string lower;
    for (const char letter : key.substr(0, 100)) lower += static_cast<char>(std::tolower(static_cast<uint8_t>(letter)));
    return lower.find("optim") != lower.npos || (value.kind() == Kind::Dict && value.find("param_groups") != nullptr);
}

size_t usual(std::string_view key) {
    return static_cast<size_t>(std::find(std::begin(kUsualKeys), std::end(kUsualKeys), key) - std::begin(kUsualKeys));
}
bool is_usual(std::string_view key) { return usual(key) < std::size(kUsualKeys); }

// Up to a few of the keys, for a message.
std::string some_keys(const PickleValue& dict) {
    std::string keys;
    size_t shown = 0;
    for (const PickleItem& item : dict.entries()) {
        if (item.key->kind() != Kind::Text) continue;
        if (shown++ == 8) return keys + ", ...";
        keys += (keys.empty() ? "`" : ", `") + printable(*item.key->text(), 40) + "`";
    }
    return keys.empty() ? "no names" : keys;
}

// Breadth-first search for dicts of weights.
class Search {
public:
    explicit Search(const PickleValue& root) : root_(root) {
        add({&root, 0, 0, "", 0});
        for (size_t i = 0; i < places_.size(); ++i) expand(i);
    }

    StateDict choose(const std::string& file) const {
        const std::vector<size_t> dicts = best_dicts();
        const size_t chosen = choose_among(dicts);
        const bool weights = !dicts.empty() && rank_of(*places_[dicts[0]].value) == 2;
        const bool usual_place = chosen != kNone && is_usual(places_[chosen].key);
        for (const size_t i : objects_) {
            // If an object seems to be the model, the dict may be an old copy, and we do not guess.
            if (!weights || (!usual_place && is_usual(places_[i].key))) refuse_object(i, file);
        }
        if (dicts.empty()) {
            fail("%s: holds no state dict (tensors by name, or a dict of them under a key such as `model`), but %s",
                 file.c_str(), some_keys(root_).c_str());
        }
        if (chosen == kNone) refuse_several(dicts, file);
        StateDict found{places_[chosen].value, path_to(chosen), {}};
        for (const size_t i : dicts) {
            if (i != chosen) found.others.push_back(path_to(i));
        }
        return found;
    }

private:
    static constexpr size_t kNone = std::numeric_limits<size_t>::max();

    void add(Place place) {
        const Kind kind = place.value->kind();
        if (kind != Kind::Dict && kind != Kind::List && kind != Kind::Tuple && kind != Kind::Object) return;
        if (!place.value->holds_weights() || place.depth > kMaxDepth || is_of_optimizer(place.key, *place.value)) return;
        if (!seen_.insert(place.value).second) return;
        if (kind == Kind::Object) objects_.push_back(places_.size());
        places_.push_back(place);
    }

    void expand(size_t i) {
        const Place place = places_[i];
        const auto elements = place.value->elements();
        for (size_t n = 0; n < elements.size(); ++n) add({elements[n], i, place.depth + 1, "", n});
        for (const PickleItem& item : place.value->entries()) {
            if (item.key->kind() == Kind::Text) add({item.value, i, place.depth + 1, *item.key->text(), 0});
        }
    }

    // Dicts of weights or, if there is none, of any tensors.
    std::vector<size_t> best_dicts() const {
        std::vector<size_t> dicts;
        int best = 1;
        for (size_t i = 0; i < places_.size(); ++i) {
            const int rank = rank_of(*places_[i].value);
            if (rank > best) dicts.clear();
            best = std::max(best, rank);
            if (rank == best) dicts.push_back(i);
        }
        return dicts;
    }

    // The only one, or else the one under a usual key that is nearest to the root, then under the most usual key. kNone if
    // there is none, or a tie.
    size_t choose_among(const std::vector<size_t>& dicts) const {
        if (dicts.size() == 1) return dicts[0];
        const auto order = [&](size_t i) { return std::pair(places_[i].depth, usual(places_[i].key)); };
        size_t chosen = kNone, equal = 0;
        for (const size_t i : dicts) {
            if (!is_usual(places_[i].key) || (chosen != kNone && order(i) > order(chosen))) continue;
            equal = chosen != kNone && order(i) == order(chosen) ? equal + 1 : 1;
            chosen = i;
        }
        return equal == 1 ? chosen : kNone;
    }

    std::string path_to(size_t i) const {
        const Place& place = places_[i];
        if (place.depth == 0) return "";
        const std::string before = path_to(place.parent);
        if (!places_[place.parent].value->elements().empty()) return before + "[" + std::to_string(place.index) + "]";
        return before + (before.empty() ? "" : ".") + std::string(place.key.substr(0, 100));
    }

    [[noreturn]] void refuse_object(size_t i, const std::string& file) const {
        const std::string path = path_to(i);
        fail("%s: %s%s", file.c_str(), path.empty() ? "what was saved " : ("`" + printable(path) + "` ").c_str(),
             why_unreadable(*places_[i].value).c_str());
    }

    [[noreturn]] void refuse_several(const std::vector<size_t>& dicts, const std::string& file) const {
        std::string list;
        for (size_t n = 0; n < dicts.size() && n < 8; ++n) {
            const std::string path = path_to(dicts[n]);
            list += (n > 0 ? ", " : "") + (path.empty() ? "the top" : "`" + printable(path) + "`");
        }
        fail("%s: holds several dicts of tensors (%s%s): save the one to be taken by itself with torch.save", file.c_str(),
             list.c_str(), dicts.size() > 8 ? ", ..." : "");
    }

    const PickleValue& root_;
    std::vector<Place> places_;    // the root is the first, if there are weights in it
    std::vector<size_t> objects_;  // which of them are objects
    std::unordered_set<const PickleValue*> seen_;
};

}  // namespace

std::string why_unreadable(const PickleValue& object) {
    const std::string name = printable(object.name(), 100);
    if (name.starts_with("numpy.")) return "is a NumPy array: make a tensor of it with torch.from_numpy and save that";
    return "is made by `" + name + "`, which nib does not know and never calls: save model.state_dict() of plain tensors";
}

StateDict find_state_dict(const PickleValue& root, const std::string& file) {
    const PickleValue* model = root.find("model");
    if (root.kind() == Kind::Dict &&
        (root.find("checkpoint_version") != nullptr || (model != nullptr && model->find("language_model") != nullptr))) {
        fail(
            "%s: is a checkpoint of Megatron-LM: convert it to Hugging Face's format (transformers has a script in "
            "models/megatron_gpt2) and name the folder",
            file.c_str());
    }
    return Search(root).choose(file);
}

}  // namespace nib

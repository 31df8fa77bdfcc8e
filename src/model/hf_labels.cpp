#include "model/hf_labels.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "model/architecture.h"
#include "model/hf_config.h"

namespace nib {
namespace {

constexpr const char *kRegression = "regression", *kSingleLabel = "single_label_classification",
                     *kMultiLabel = "multi_label_classification";

bool has_labels(const HeadConfig& head) { return head.name == "class" || head.name == "tag"; }

void read_names(const JsonValue& json, HeadConfig& head) {
    const auto map = json.find("id2label");
    if (!map || !map->raw().is_object()) return;
    std::vector<std::string> labels(static_cast<size_t>(head.outputs));
    bool named = false;
    for (const auto& [key, value] : map->raw().items()) {
        const std::string text = map->get(key.c_str()).text();
        size_t number = labels.size();
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
        if (error != std::errc() || end != key.data() + key.size() || number >= labels.size())
            fail("%s: there is no class `%s`: the weights have %lld", map->where().c_str(), printable(key, 40).c_str(),
                 static_cast<long long>(head.outputs));
        labels[number] = text;
        named |= text != "LABEL_" + key;
    }
    if (!named) return;
    const auto missing = std::find(labels.begin(), labels.end(), "");
    if (missing != labels.end())
        fail("%s: has %s, but the weights have %lld classes: class %lld has no name", map->where().c_str(),
             counted(static_cast<int64_t>(map->raw().size()), "name").c_str(), static_cast<long long>(head.outputs),
             static_cast<long long>(missing - labels.begin()));
    head.labels = std::move(labels);
}

}  // namespace

void read_labels(const JsonValue& json, ModelConfig& c) {
    for (HeadConfig& head : c.task_heads) {
        if (!has_labels(head)) continue;
        read_names(json, head);
        const auto problem = head.name == "class" ? json.find("problem_type") : std::nullopt;
        if (!problem) continue;
        head.multi_label = problem->text() == kMultiLabel;
        if (problem->text() == kRegression && head.outputs > 1) refuse_option(*problem, "a regression of several numbers");
    }
}

void write_labels(const ModelConfig& c, int32_t padding, nlohmann::json& json) {
    for (const HeadConfig& head : c.task_heads) {
        if (!has_labels(head)) continue;
        nlohmann::json names = nlohmann::json::object(), numbers = nlohmann::json::object();
        for (size_t i = 0; i < head.labels.size(); ++i) {
            names[std::to_string(i)] = head.labels[i];
            numbers[head.labels[i]] = i;
        }
        json["id2label"] = names;
        json["label2id"] = numbers;
        if (head.name != "class") continue;
        json["problem_type"] = head.multi_label ? kMultiLabel : head.outputs == 1 ? kRegression : kSingleLabel;
        if (!architecture_of(c).encoder_only && padding >= 0) json["pad_token_id"] = padding;
    }
}

}  // namespace nib

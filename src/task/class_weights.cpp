#include "task/class_weights.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <string_view>

#include "core/error.h"

namespace nib {
namespace {

constexpr const char *kOption = "class-weights", *kBalanced = "balanced";
constexpr float kLeast = 1e-6f, kMost = 1e6f;

// "name=2"; the name may have a "=", too.
void take_weight(std::string_view part, std::span<const std::string> labels, std::vector<float>& weights) {
    const size_t equals = part.rfind('=');
    const std::string shown = printable(std::string(part), 60);
    if (equals == part.npos)
        fail_option(kOption, "is `%s`; it must be %s, or a weight for each label that is named, as in name=2,other=0.5",
                    shown.c_str(), kBalanced);
    const auto label = std::find(labels.begin(), labels.end(), part.substr(0, equals));
    if (label == labels.end()) {
        std::string names;
        for (size_t i = 0; i < std::min<size_t>(labels.size(), 20); ++i)
            names += (i > 0 ? ", " : "") + printable(labels[i], 40);
        fail_option(kOption, "names `%s`; the labels are %s%s", printable(std::string(part.substr(0, equals)), 60).c_str(),
                    names.c_str(), labels.size() > 20 ? ", ..." : "");
    }
    const std::string_view number = part.substr(equals + 1);
    float& weight = weights[static_cast<size_t>(label - labels.begin())];
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), weight);
    if (error != std::errc() || end != number.data() + number.size() || !(weight >= kLeast && weight <= kMost))
        fail_option(kOption, "has `%s`; a weight is a number from %g to %g", shown.c_str(), static_cast<double>(kLeast),
                    static_cast<double>(kMost));
}

}  // namespace

std::vector<float> parse_class_weights(const std::string& text, std::span<const std::string> labels,
                                       std::span<const int64_t> counts) {
    std::vector<float> weights(labels.size(), 1);
    if (text == kBalanced) {
        const auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
        for (size_t i = 0; i < weights.size(); ++i)
            if (counts[i] > 0)
                weights[i] =
                    static_cast<float>(all / (static_cast<double>(labels.size()) * static_cast<double>(counts[i])));
        return weights;
    }
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        take_weight(std::string_view(text).substr(at, end - at), labels, weights);
        at = end + 1;
    }
    return weights;
}

}  // namespace nib

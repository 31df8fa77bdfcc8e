#include "infer/attention_page.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string_view>

#include "core/error.h"
#include "text/utf8.h"

namespace nib {
namespace {

// attention_page.html with a line @DATA@ where the numbers go.
constexpr std::string_view kPage =
#include "src/infer/attention_page.html.inc"
    ;
constexpr std::string_view kData = "@DATA@";
static_assert(kPage.find(kData) != kPage.npos && kPage.find(kData) == kPage.rfind(kData));

// A weight from 0 to 1 takes two digits of base 64, which are enough for three decimals.
std::string packed(std::span<const float> weights) {
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve(2 * weights.size());
    for (const float weight : weights) {
        const auto step = static_cast<size_t>(std::lround(4095 * std::clamp(weight, 0.0f, 1.0f)));
        text += kDigits[step / 64];
        text += kDigits[step % 64];
    }
    return text;
}

nlohmann::ordered_json map_json(const AttentionMap& map) {
    nlohmann::ordered_json json = {
        {"name",    map.name                       },
        {"queries", map.queries                    },
        {"keys",    map.keys                       },
        {"heads",   map.heads                      },
        {"layers",  nlohmann::ordered_json::array()}
    };
    const size_t layer = map.weights.size() / static_cast<size_t>(std::max<int64_t>(map.layers, 1));
    for (size_t l = 0; l < static_cast<size_t>(map.layers); ++l)
        json["layers"].push_back(packed(std::span(map.weights).subspan(l * layer, layer)));
    return json;
}

// "best": for each layer ids and thousandths in turn, k pairs for each token.
nlohmann::ordered_json predictions_json(const LayerPredictions& p) {
    nlohmann::ordered_json json = {
        {"head",   p.head                         },
        {"ids",    p.ids                          },
        {"top",    p.top                          },
        {"layers", nlohmann::ordered_json::array()}
    };
    const size_t layer = p.best.size() / static_cast<size_t>(std::max<int64_t>(p.layers, 1));
    for (size_t l = 0; l < static_cast<size_t>(p.layers); ++l) {
        std::vector<int64_t> pairs;
        for (const Ranked& one : std::span(p.best).subspan(l * layer, layer)) {
            pairs.push_back(static_cast<int64_t>(one.index));
            pairs.push_back(std::lround(1000 * one.probability));
        }
        json["layers"].push_back(std::move(pairs));
    }
    return json;
}

std::set<int32_t> tokens_in(const TextView& view) {
    std::set<int32_t> ids(view.predictions.ids.begin(), view.predictions.ids.end());
    for (const AttentionMap& map : view.maps) {
        ids.insert(map.queries.begin(), map.queries.end());
        ids.insert(map.keys.begin(), map.keys.end());
    }
    for (const Ranked& one : view.predictions.best) ids.insert(static_cast<int32_t>(one.index));
    return ids;
}

}  // namespace

std::string token_label(const Tokenizer& tokenizer, int32_t id) {
    const bool known = id >= 0 && id < tokenizer.vocab_size() && tokenizer.has_token(id);
    const std::string text = known ? tokenizer.decode(id) : "";
    if (text.empty()) return "#" + std::to_string(id);
    return find_invalid(text) == std::string_view::npos ? text : printable(text);
}

std::string attention_page(const std::string& title, const TextView& view, const Tokenizer& tokenizer) {
    nlohmann::ordered_json json = {
        {"title",  printable(title)                },
        {"tokens", nlohmann::ordered_json::object()},
        {"maps",   nlohmann::ordered_json::array() }
    };
    for (const int32_t id : tokens_in(view)) json["tokens"][std::to_string(id)] = token_label(tokenizer, id);
    for (const AttentionMap& map : view.maps) json["maps"].push_back(map_json(map));
    if (!view.predictions.head.empty()) json["predictions"] = predictions_json(view.predictions);

    // Only "<" could end the script or begin a comment in it; JSON has it in strings alone.
    std::string page(kPage.substr(0, kPage.find(kData)));
    for (const char c : json.dump()) c == '<' ? page += "\\u003c" : page += c;
    return page.append(kPage.substr(kPage.find(kData) + kData.size()));
}

}  // namespace nib

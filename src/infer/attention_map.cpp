#include "infer/attention_map.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "infer/probabilities.h"
#include "model/blocks.h"

namespace nib {
namespace {

constexpr int64_t kMostWeights = int64_t{1} << 24;  // 64 MiB of floats
constexpr int64_t kMostLogits = int64_t{1} << 22;   // in memory at a time

// One of a model's attentions: how a trace names its weights in each layer, and between which tokens it is.
struct Kind {
    const char* name;
    std::string before, after;  // around "blk.N"
    int64_t layers;
    bool source_queries, source_keys;

    std::string weights_of(int64_t layer) const { return before + block_name(static_cast<size_t>(layer)) + after; }
};

std::vector<Kind> attentions(const ModelConfig& c) {
    if (!c.has_encoder())
        return {
            {"self-attention", "", ".attn", c.layers, false, false}
        };
    return {
        {"encoder",         "enc.", ".attn",       c.encoder_layers, true,  true },
        {"decoder",         "",     ".attn",       c.layers,         false, false},
        {"cross-attention", "",     ".cross_attn", c.layers,         false, true }
    };
}

std::vector<std::string> traced(const ModelConfig& config, bool outputs) {
    std::vector<std::string> names;
    for (const Kind& kind : attentions(config))
        for (int64_t l = 0; l < kind.layers; ++l) names.push_back(kind.weights_of(l));
    if (outputs)
        for (int64_t l = 0; l < config.layers; ++l) names.push_back(block_name(static_cast<size_t>(l)));
    return names;
}

// The head that predicts tokens; null: there is none.
const Head* token_head(const Model& model) {
    for (const Head& head : model.heads())
        if (head.name == std::string_view("lm") || head.name == std::string_view("mlm")) return &head;
    return nullptr;
}

// From a layer's output to the logits of R of its rows.
class Lens {
public:
    Lens(Backend& backend, const Model& model, const Weights& weights, const Head& head, int64_t T)
        : rows_(std::clamp<int64_t>(kMostLogits / head.outputs, 1, T)),
          channels_(model.config().embd),
          logits_(static_cast<size_t>(rows_ * head.outputs)),
          padded_(static_cast<size_t>(rows_ * channels_)) {
        Graph g(Mode::Infer);
        x_ = g.input("x", {1, rows_, channels_}, DType::F32);
        out_ = g.output(model.logits(g, weights, head, model.last_norm(g, weights, x_)));  // (1,R,V)
        plan_ = compile(std::move(g), backend);
    }

    // Appends the best `top` of each row of `hidden` (T,C).
    void predict(std::span<const float> hidden, size_t top, std::vector<Ranked>& best) {
        const size_t step = padded_.size(), V = logits_.size() / static_cast<size_t>(rows_);
        for (size_t at = 0; at < hidden.size(); at += step) {
            const std::span<const float> some = hidden.subspan(at, std::min(step, hidden.size() - at));
            std::copy(some.begin(), some.end(), padded_.begin());
            plan_.set<float>(x_, padded_);
            plan_.run({});
            const size_t rows = some.size() / static_cast<size_t>(channels_);
            plan_.get(out_, std::span(logits_).first(rows * V));
            require_numbers(std::span(logits_).first(rows * V));
            for (size_t r = 0; r < rows; ++r)
                for (const Ranked& one : most_probable(std::span<const float>(logits_).subspan(r * V, V), top))
                    best.push_back(one);
        }
    }

private:
    const int64_t rows_, channels_;  // R, C
    Tensor x_, out_;
    Plan plan_;
    std::vector<float> logits_, padded_;  // (R,V), (R,C)
};

void check_length(const ModelConfig& config, const char* name, size_t tokens) {
    if (tokens == 0) fail("a %s without tokens shows nothing", name);
    if (static_cast<int64_t>(tokens) > longest_view(config))
        fail("a %s has %zu tokens; what %lld heads see of it can be shown of %lld", name, tokens,
             static_cast<long long>(viewed_heads(config)), static_cast<long long>(longest_view(config)));
}

// A plan that runs a model over a text, with a source if it has an encoder, and keeps what a trace wants.
class TracedRun {
public:
    TracedRun(Backend& backend, const Model& model, const Weights& weights, std::span<const int32_t> text,
              std::span<const int32_t> segments, std::span<const int32_t> source, bool outputs)
        : trace_(traced(model.config(), outputs)) {
        Graph g(Mode::Infer);
        TokenInputs tokens(g, model.config(), 1, std::ssize(text)), source_tokens;
        ModelInputs inputs = tokens.inputs(weights);
        inputs.trace = &trace_;
        std::optional<ModelInputs> encoder;
        if (!source.empty()) {
            source_tokens = TokenInputs::of_source(g, model.config(), 1, std::ssize(source));
            encoder.emplace(source_tokens.inputs(weights)).trace = &trace_;
            inputs.source = &*encoder;
        }
        model.hidden(g, inputs);
        plan_ = compile(std::move(g), backend);
        tokens.set(plan_, text, counted(text.size()), segments);
        if (!source.empty()) source_tokens.set(plan_, source, counted(source.size()));
        plan_.run({});
    }
    void get(const std::string& name, std::span<float> values) const { plan_.get(trace_[name], values); }

private:
    static std::vector<int32_t> counted(size_t count) {
        std::vector<int32_t> positions(count);
        std::iota(positions.begin(), positions.end(), 0);
        return positions;
    }

    Trace trace_;
    Plan plan_;
};

AttentionMap read_map(const TracedRun& run, const Kind& kind, int64_t heads, std::vector<int32_t> queries,
                      std::vector<int32_t> keys) {
    const size_t size = static_cast<size_t>(heads) * queries.size() * keys.size();
    AttentionMap map{kind.name,
                     std::move(queries),
                     std::move(keys),
                     kind.layers,
                     heads,
                     std::vector<float>(static_cast<size_t>(kind.layers) * size),
                     kind.source_queries,
                     kind.source_keys};
    for (int64_t l = 0; l < kind.layers; ++l)
        run.get(kind.weights_of(l), std::span(map.weights).subspan(static_cast<size_t>(l) * size, size));
    require_numbers(map.weights);
    return map;
}

}  // namespace

int64_t viewed_heads(const ModelConfig& config) {
    int64_t layers = 0;
    for (const Kind& kind : attentions(config)) layers += kind.layers;
    return layers * config.heads;
}

int64_t longest_view(const ModelConfig& config) {
    const auto side = std::sqrt(static_cast<double>(kMostWeights) / static_cast<double>(viewed_heads(config)));
    return std::clamp<int64_t>(static_cast<int64_t>(side), 1, config.context);
}

TextView view_text(Backend& backend, const ModelConfig& config, const Weights& weights, const TextTokens& text, size_t top,
                   std::span<const int32_t> source) {
    check_length(config, "text", text.ids.size());
    if (config.has_encoder()) check_length(config, "source", source.size());
    if (!config.has_encoder() && !source.empty()) fail("a model without an encoder reads no source");
    const auto model = make_model(config);
    const Head* head = top > 0 ? token_head(*model) : nullptr;
    const TracedRun run(backend, *model, weights, text.ids, text.segments, source, head != nullptr);

    TextView view;
    const std::vector<int32_t> of_source(source.begin(), source.end());
    for (const Kind& kind : attentions(config))
        view.maps.push_back(read_map(run, kind, config.heads, kind.source_queries ? of_source : text.ids,
                                     kind.source_keys ? of_source : text.ids));
    if (head == nullptr) return view;

    const auto T = static_cast<int64_t>(text.ids.size()), L = config.layers;
    view.predictions = {head->name, text.ids, L, std::min(top, static_cast<size_t>(head->outputs)), {}};
    Lens lens(backend, *model, weights, *head, T);
    std::vector<float> hidden(static_cast<size_t>(T * config.embd));
    for (int64_t l = 0; l < L; ++l) {
        run.get(block_name(static_cast<size_t>(l)), std::span(hidden));
        lens.predict(hidden, view.predictions.top, view.predictions.best);
    }
    return view;
}

}  // namespace nib

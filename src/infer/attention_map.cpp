#include "infer/attention_map.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>

#include "core/error.h"
#include "model/blocks.h"

namespace nib {
namespace {

constexpr int64_t kMostWeights = int64_t{1} << 24;  // 64 MiB of floats
constexpr int64_t kMostLogits = int64_t{1} << 22;   // in memory at a time

std::string attention_name(int64_t layer) { return block_name(static_cast<size_t>(layer)) + ".attn"; }

std::vector<std::string> traced(int64_t layers, bool outputs) {
    std::vector<std::string> names;
    for (int64_t l = 0; l < layers; ++l) {
        names.push_back(attention_name(l));
        if (outputs) names.push_back(block_name(static_cast<size_t>(l)));
    }
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

void check_length(const ModelConfig& config, int64_t T) {
    if (T == 0) fail("a text without tokens shows nothing");
    if (T > longest_view(config))
        fail("a text has %lld tokens; what %lld heads see of it can be shown of %lld", static_cast<long long>(T),
             static_cast<long long>(config.layers * config.heads), static_cast<long long>(longest_view(config)));
}

}  // namespace

int64_t longest_view(const ModelConfig& config) {
    const auto side = std::sqrt(static_cast<double>(kMostWeights) / static_cast<double>(config.layers * config.heads));
    return std::clamp<int64_t>(static_cast<int64_t>(side), 1, config.context);
}

TextView view_text(Backend& backend, const ModelConfig& config, const Weights& weights, const TextTokens& text,
                   size_t top) {
    const auto T = static_cast<int64_t>(text.ids.size()), L = config.layers, H = config.heads;
    check_length(config, T);
    const auto model = make_model(config);
    const Head* head = top > 0 ? token_head(*model) : nullptr;

    Graph g(Mode::Infer);
    TokenInputs tokens(g, config, 1, T);
    Trace trace(traced(L, head != nullptr));
    ModelInputs inputs = tokens.inputs(weights);
    inputs.trace = &trace;
    model->hidden(g, inputs);
    const Plan plan = compile(std::move(g), backend);
    std::vector<int32_t> positions(text.ids.size());
    std::iota(positions.begin(), positions.end(), 0);
    tokens.set(plan, text.ids, positions, text.segments);
    plan.run({});

    const auto map_size = static_cast<size_t>(H * T * T);
    AttentionMap map{"self-attention", text.ids, text.ids, L, H, std::vector<float>(static_cast<size_t>(L) * map_size)};
    for (int64_t l = 0; l < L; ++l)
        plan.get(trace[attention_name(l)], std::span(map.weights).subspan(static_cast<size_t>(l) * map_size, map_size));
    TextView view{{std::move(map)}, {}};
    if (head == nullptr) return view;

    view.predictions = {head->name, text.ids, L, std::min(top, static_cast<size_t>(head->outputs)), {}};
    Lens lens(backend, *model, weights, *head, T);
    std::vector<float> hidden(static_cast<size_t>(T * config.embd));
    for (int64_t l = 0; l < L; ++l) {
        plan.get(trace[block_name(static_cast<size_t>(l))], std::span(hidden));
        lens.predict(hidden, view.predictions.top, view.predictions.best);
    }
    return view;
}

}  // namespace nib

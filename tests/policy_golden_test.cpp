// Losses of policies and preferences against PyTorch, from hidden states on: tests/goldens/make_policy_goldens.py says what
// the file holds.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/plan.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "numbers.h"
#include "test_files.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

constexpr int64_t kRows = 28, kWidth = 37, kVocabulary = 19, kTokens = 20, kTexts = 8, kPairs = 4;
constexpr double kCounted = 17, kCountedPairs = 3;

// Hidden states, heads and what is known of tokens and pairs. `padded`: with tokens, texts and pairs that are not in use.
class PolicyCase {
public:
    PolicyCase(Backend& backend, bool padded)
        : backend_(backend), padded_(padded), tokens_(padded ? graph.add_row_count() : RowCount{-1}) {
        if (padded) step_.rows[tokens_] = kTokens;
        x = floats("x", {2, kRows / 2, kWidth});
        graph.want_gradient(x);
    }
    ~PolicyCase() {
        for (const auto& [name, weight] : weights_)
            backend_.release(weight.value.buffer), backend_.release(weight.gradient.buffer);
    }
    PolicyCase(const PolicyCase&) = delete;
    PolicyCase& operator=(const PolicyCase&) = delete;

    /// Numbers of the tokens (1,N), (1,N,1).
    Tensor of_tokens(const char* name) { return floats(name, {1, all_tokens()}, tokens_); }
    Tensor column_of_tokens(const char* name) { return floats(name, {1, all_tokens(), 1}, tokens_); }
    /// Numbers of the pairs.
    Tensor of_pairs(const std::string& name) { return floats(name, {1, kPairs + more(), 2}); }
    Tensor texts() { return integers("texts", {kTexts + 2 * more(), 2}, kTokens); }
    /// The tokens' hidden states, and what the head says of them.
    Tensor hidden() { return graph.gather(x, integers("rows", {all_tokens()}, 0), tokens_); }
    Graph::LogProbs scores(Tensor h, bool entropy) {
        return graph.log_probs(h, head("head", kVocabulary), integers("targets", {1, all_tokens()}, 0, tokens_), entropy);
    }
    /// Means of the log-probabilities of each text, by pair.
    Tensor means() {
        const Tensor logp = scores(hidden(), false).logp;
        const Tensor means = graph.mean_rows(graph.view(logp, {1, all_tokens(), 1}, 0), texts());
        return graph.view(means, {1, kPairs + more(), 2}, 0);
    }
    /// The scores of each text's last row, by pair.
    Tensor last_scores() {
        const Tensor h = graph.gather(x, integers("last", {kTexts + 2 * more()}, 0));
        return graph.view(graph.linear(h, head("value", 1), {.floats = true}), {1, kPairs + more(), 2}, 0);
    }
    LinearWeights head(const std::string& name, int64_t outputs) {
        return {weight(name + ".w", {outputs, kWidth}), weight(name + ".b", {outputs})};
    }

    /// Runs the graph forward and backward. `counted`: rows that count.
    void run(double counted) {
        graph.record_backward();
        const Tensor dx = graph.output(graph.gradient(x).tensor);
        const Plan plan = compile(graph, backend_);
        for (const auto& [tensor, values] : floats_) plan.set<float>(tensor, values);
        for (const auto& [tensor, values] : integers_) plan.set<int32_t>(tensor, values);
        step_.loss_scale = static_cast<float>(1 / counted);
        plan.run(step_);
        std::vector<float>& gradient = results["grad.x"];
        gradient.resize(kRows * kWidth);
        plan.get(dx, std::span(gradient));
        for (const auto& [name, loss] : losses) {
            std::vector<float> values(static_cast<size_t>(graph.info(loss).shape.elements() - (padded_ ? more() : 0)));
            plan.get(loss, std::span(values));
            results[name] = {static_cast<float>(std::accumulate(values.begin(), values.end(), 0.0) / counted)};
        }
        for (const auto& [name, weight] : weights_) {
            std::vector<float>& values = results["grad." + name];
            values.resize(static_cast<size_t>(weight.shape.elements()));
            backend_.download(weight.gradient, std::as_writable_bytes(std::span(values)));
        }
    }

    Graph graph{Mode::Train};
    Tensor x;
    std::map<std::string, Tensor> losses;
    std::map<std::string, std::vector<float>> results;

private:
    int64_t more() const { return padded_ ? 3 : 0; }
    int64_t all_tokens() const { return kTokens + more(); }

    Tensor floats(const std::string& name, Shape shape, RowCount row_count = -1) {
        const std::span<const float> stored = numbers<float>(file_, name);
        std::vector<float> values(stored.begin(), stored.end());
        values.resize(static_cast<size_t>(shape.elements()), NAN);
        return floats_.emplace_back(graph.input(name.c_str(), shape, DType::F32, row_count), values).first;
    }
    Tensor integers(const char* name, Shape shape, int32_t unused, RowCount row_count = -1) {
        const std::span<const int32_t> stored = numbers<int32_t>(file_, name);
        std::vector<int32_t> values(stored.begin(), stored.end());
        values.resize(static_cast<size_t>(shape.elements()), unused);
        return integers_.emplace_back(graph.input(name, shape, DType::I32, row_count), values).first;
    }
    Weight weight(const std::string& name, Shape shape) {
        const std::span<const std::byte> values = std::as_bytes(numbers<float>(file_, name));
        Weight w{
            .name = name,
            .shape = shape,
            .value = {backend_.allocate(values.size()), 0},
            .gradient = {backend_.allocate(values.size()), 0}
        };
        backend_.upload(w.value, values);
        return weights_.emplace_back(name, w).second;
    }

    Backend& backend_;
    const bool padded_;
    const RowCount tokens_;
    const GgufFile file_ = GgufFile::open(golden("policy.gguf"));
    Step step_;
    std::vector<std::pair<std::string, Weight>> weights_;
    std::vector<std::pair<Tensor, std::vector<float>>> floats_;
    std::vector<std::pair<Tensor, std::vector<int32_t>>> integers_;
};

using Options = Graph::PolicyOptions;

void ppo(PolicyCase& c) {
    const Tensor h = c.hidden(), weights = c.of_tokens("weights");
    c.losses["loss"] = c.graph.output(c.graph.policy_loss(
        c.scores(h, true), {.advantages = c.of_tokens("advantages"), .weights = weights, .old = c.of_tokens("old")},
        {.entropy = 0.01f}));
    c.losses["values"] = c.graph.output(c.graph
                                            .value_loss(h, c.head("value", 1), c.column_of_tokens("returns"), weights,
                                                        false, c.column_of_tokens("old_values"), 0.2f)
                                            .loss);
    c.run(kCounted);
}

void policy(PolicyCase& c, bool with_old, const Options& options) {
    Graph::PolicyInputs in{.advantages = c.of_tokens("advantages"), .weights = c.of_tokens("weights")};
    if (with_old) in.old = c.of_tokens("old");
    if (options.kl != 0) in.reference = c.of_tokens("reference");
    c.losses["loss"] = c.graph.output(c.graph.policy_loss(c.scores(c.hidden(), false), in, options));
    c.run(kCounted);
}

void preference(PolicyCase& c, Tensor scores, const std::string& name, const Graph::PreferenceOptions& options) {
    const Tensor loss =
        c.graph.preference_loss(scores, c.of_pairs(name + ".scales"), c.of_pairs(name + ".offsets"), options);
    c.losses["loss"] = c.graph.output(loss);
    c.run(kCountedPairs);
}

struct NamedLoss {
    const char* name;
    void (*run)(PolicyCase&);
};
const NamedLoss kLosses[] = {
    {"ppo",       ppo                                                                                              },
    {"grpo",      [](PolicyCase& c) { policy(c, true, {.clip_high = 0.28f, .kl = 0.04f}); }                        },
    {"reinforce", [](PolicyCase& c) { policy(c, false, {}); }                                                      },
    {"dpo",       [](PolicyCase& c) { preference(c, c.means(), "sums", {.beta = 0.5f, .smoothing = 0.1f}); }       },
    {"hinge",     [](PolicyCase& c) { preference(c, c.means(), "sums", {.kind = Preference::Hinge, .beta = 2}); }  },
    {"ipo",       [](PolicyCase& c) { preference(c, c.means(), "means", {.kind = Preference::Ipo, .beta = 0.5f}); }},
    {"reward",    [](PolicyCase& c) { preference(c, c.last_scores(), "scores", {}); }                              },
};

// What the file has of `loss` under the name of a result: gradients of the loss's own head are w and b there.
std::span<const float> expected(const GgufFile& file, const std::string& loss, std::string result) {
    const std::string head = loss == "reward" ? "grad.value." : "grad.head.";
    if (result.starts_with(head)) result = "grad." + result.substr(head.size());
    return numbers<float>(file, loss + "." + result);
}

void expect_golden(const NamedLoss& loss, bool padded, PolicyCase& c) {
    SCOPED_TRACE(testing::Message() << loss.name << (padded ? " padded" : ""));
    loss.run(c);
    const GgufFile file = GgufFile::open(golden("policy.gguf"));
    EXPECT_GE(c.results.size(), 4u);
    for (const auto& [name, got] : c.results) EXPECT_LE(gradient_error(got, expected(file, loss.name, name)), 1e-5) << name;
}

struct PolicyGolden : testing::TestWithParam<const KernelTable*> {};

TEST_P(PolicyGolden, LossesAndGradientsAreThoseOfTorch) {
    for (const NamedLoss& loss : kLosses)
        for (const bool padded : {false, true}) {
            CpuBackend one(*GetParam(), 1), three(*GetParam(), 3);
            PolicyCase c(one, padded), again(three, padded);
            expect_golden(loss, padded, c);
            loss.run(again);
            for (const auto& [name, got] : c.results) EXPECT_TRUE(same_bits(got, again.results[name])) << name;
        }
}

INSTANTIATE_TEST_SUITE_P(PyTorch, PolicyGolden, testing::ValuesIn(kernel_tables()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_F(Vulkan, LossesOfPoliciesAreThoseOfTorch) {
    for (const NamedLoss& loss : kLosses)
        for (const bool padded : {false, true}) {
            PolicyCase c(backend(), padded);
            expect_golden(loss, padded, c);
        }
}

}  // namespace
}  // namespace nib

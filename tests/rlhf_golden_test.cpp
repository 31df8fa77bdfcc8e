// A step of PPO, GRPO, DPO and of a reward model from given rollouts, with losses and gradients of all weights, beside
// PyTorch: tests/goldens/make_rlhf_goldens.py.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "io/gguf.h"
#include "model/convert.h"
#include "numbers.h"
#include "task/advantages.h"
#include "test_files.h"
#include "train/base_model.h"
#include "train/train_step.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;
using Floats = std::vector<float>;

constexpr size_t kRows = 8;
constexpr double kTolerance = 1e-5;

class Rlhf {
public:
    Rlhf() : wanted(nlohmann::json::parse(read_file(golden("rlhf/steps.json")))) {}

    std::vector<Floats> floats(const char* name) const { return wanted[name].get<std::vector<Floats>>(); }
    size_t prompt(size_t row) const { return wanted["prompt"][row].get<size_t>(); }
    std::vector<int32_t> ids(size_t row) const { return wanted["ids"][row].get<std::vector<int32_t>>(); }
    double reward(size_t row) const { return wanted["rewards"][row].get<double>(); }

    const nlohmann::json wanted;
};

// The model of a folder, as nib names and lays out its weights.
GgufFile converted(const std::string& name, const TempFolder& folder) {
    ConvertRequest request;
    request.input = golden("rlhf/" + name);
    request.output = (folder / (name + ".gguf")).string();
    request.type = DType::F32;
    convert_checkpoint(request, {[](const Note&) {}, [](double) {}});
    return GgufFile::open(request.output);
}

// A batch of rows of one text or two, with what is known of its tokens.
struct Batch {
    Batch(const Rlhf& rlhf, size_t texts) : texts_(texts), width(12 * texts), B(kRows / texts) {
        const size_t n = B * width;
        ids.assign(n, 0), targets.assign(n, kIgnore), positions.assign(n, 0), lengths.assign(B, 0);
        numbers = numbers.map([&](const Floats&) { return Floats(n); });
        for (size_t row = 0; row < kRows; ++row) {
            const std::vector<int32_t> text = rlhf.ids(row);
            int32_t& length = lengths[row / texts];
            const size_t at = row / texts * width + static_cast<size_t>(length);
            begins.push_back(at), ends.push_back(at + text.size() - 1);
            for (size_t t = 0; t < text.size(); ++t) ids[at + t] = text[t], positions[at + t] = static_cast<int32_t>(t);
            length += static_cast<int32_t>(text.size());
        }
    }
    // Calls take(row, token of its response, place before it).
    template <class Take>
    void for_responses(const Rlhf& rlhf, const Take& take) {
        for (size_t row = 0; row < kRows; ++row)
            for (size_t t = rlhf.prompt(row); t < rlhf.ids(row).size(); ++t)
                take(row, t - rlhf.prompt(row), begins[row] + t - 1);
    }
    TrainStep::MicroBatch micro() {
        TrainStep::MicroBatch batch;
        batch.ragged = {positions, lengths, {}};
        batch.numbers = of_rows;
        batch.policy = numbers.map([](const Floats& values) { return std::span<const float>(values); });
        return batch;
    }

    const size_t texts_, width, B;
    std::vector<int32_t> ids, targets, positions, lengths;
    std::vector<size_t> begins, ends;  // the first and last token of each text
    OfPolicy<Floats> numbers;
    Floats of_rows;
};

void upload(TrainStep& train, const std::string& name, const Floats& values) {
    for (size_t i = 0; i < train.parameters().size(); ++i)
        if (train.parameters()[i].name == name) {
            train.backend().upload(train.locate(i, 0), std::as_bytes(std::span(values)));
            return;
        }
    FAIL() << name;
}

// Loss and gradients of one step. `heads`: parameters that are not the model's, by their names in nib and in the goldens.
void check_step(const Rlhf& rlhf, const std::string& name, Backend& backend, const Objective& objective, Batch& batch,
                const std::vector<std::pair<std::string, std::string>>& heads) {
    SCOPED_TRACE(name + " on " + backend.name());
    const TempFolder folder;
    const GgufFile policy = converted("policy", folder), gradients = converted(name, folder);
    ModelConfig config = read_config(policy);
    if (objective.head == "class")
        config.task_heads = {
            {.name = "class", .outputs = 1, .labels = {"score"}}
        };
    TrainShape shape;
    shape.batch = static_cast<int64_t>(batch.B), shape.time = static_cast<int64_t>(batch.width);
    shape.ragged = true;
    shape.objectives = {objective};
    TrainStep train(backend, config, shape);
    load_weights(policy, 1, train);
    for (const auto& [ours, theirs] : heads) upload(train, ours, rlhf.wanted[theirs].get<Floats>());
    const double loss = train.micro_step(batch.ids, batch.targets, batch.micro());
    EXPECT_NEAR(loss, rlhf.wanted[name]["loss"].get<double>(), kTolerance);
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        const ParameterSpec& spec = train.parameters()[i];
        Floats found(static_cast<size_t>(spec.shape.elements()));
        backend.download(train.gradient(i), std::as_writable_bytes(std::span(found)));
        const auto head = std::find_if(heads.begin(), heads.end(), [&](const auto& h) { return h.first == spec.name; });
        const std::span<const float> of_model =
            head == heads.end() ? numbers<float>(gradients, spec.name) : std::span<const float>();
        const Floats expected =
            head != heads.end() ? rlhf.wanted[name][head->second].get<Floats>() : Floats(of_model.begin(), of_model.end());
        ASSERT_EQ(found.size(), expected.size()) << spec.name;
        for (size_t k = 0; k < found.size(); ++k) ASSERT_NEAR(found[k], expected[k], kTolerance) << spec.name << " " << k;
    }
}

// What PPO makes of the rollouts.
std::vector<TokenAdvantages> advantages_of(const Rlhf& rlhf) {
    const auto logp = rlhf.floats("old_logp"), reference = rlhf.floats("ref_logp"), values = rlhf.floats("old_values");
    std::vector<TokenAdvantages> all;
    for (size_t row = 0; row < kRows; ++row)
        all.push_back(token_advantages({logp[row], reference[row], values[row], rlhf.reward(row)},
                                       {.kl = 0.05, .discount = 0.98, .lambda = 0.95}));
    whiten(all);
    return all;
}

TEST(RlhfGoldens, AdvantagesAreThoseOfPyTorch) {
    const Rlhf rlhf;
    const auto found = advantages_of(rlhf);
    const auto advantages = rlhf.floats("advantages"), returns = rlhf.floats("returns");
    for (size_t row = 0; row < kRows; ++row) {
        ASSERT_EQ(found[row].advantages.size(), advantages[row].size());
        for (size_t t = 0; t < advantages[row].size(); ++t) {
            EXPECT_NEAR(found[row].advantages[t], advantages[row][t], kTolerance);
            EXPECT_NEAR(found[row].returns[t], returns[row][t], kTolerance);
        }
    }
}

void check_all(Backend& backend) {
    const Rlhf rlhf;
    const auto old = rlhf.floats("old_logp"), reference = rlhf.floats("ref_logp"), values = rlhf.floats("old_values");
    {
        Batch ppo(rlhf, 1);
        const auto advantages = advantages_of(rlhf);
        double tokens = 0;
        ppo.for_responses(rlhf, [&](size_t, size_t, size_t) { ++tokens; });
        ppo.for_responses(rlhf, [&](size_t row, size_t k, size_t at) {
            ppo.targets[at] = ppo.ids[at + 1];
            ppo.numbers.weights[at] = static_cast<float>(1 / tokens);
            ppo.numbers.advantages[at] = advantages[row].advantages[k],
            ppo.numbers.returns[at] = advantages[row].returns[k];
            ppo.numbers.old[at] = old[row][k], ppo.numbers.old_values[at] = values[row][k];
        });
        const Objective objective{
            .loss = Loss::Policy, .policy = {.entropy = 0.01f}, .value_weight = 0.1f, .value_clip = 0.2f};
        check_step(rlhf, "ppo", backend, objective, ppo,
                   {
                       {"value.weight", "value.weight"},
                       {"value.bias",   "value.bias"  }
        });
    }
    {
        Batch grpo(rlhf, 1);
        std::vector<double> rewards;
        for (size_t row = 0; row < kRows; ++row) rewards.push_back(rlhf.reward(row));
        const std::vector<double> compared = compared_rewards(rewards, 4, PolicyBaseline::Group, PolicyBaseline::Group);
        double tokens = 0;
        grpo.for_responses(rlhf, [&](size_t, size_t, size_t) { ++tokens; });
        grpo.for_responses(rlhf, [&](size_t row, size_t k, size_t at) {
            grpo.targets[at] = grpo.ids[at + 1];
            grpo.numbers.weights[at] = static_cast<float>(1 / tokens);
            grpo.numbers.advantages[at] = static_cast<float>(compared[row]);
            grpo.numbers.old[at] = old[row][k], grpo.numbers.reference[at] = reference[row][k];
        });
        check_step(rlhf, "grpo", backend, {.loss = Loss::Policy, .policy = {.kl = 0.04f}}, grpo, {});
    }
    {
        Batch dpo(rlhf, 2);
        dpo.of_rows.assign(kRows, 0);
        dpo.for_responses(rlhf, [&](size_t row, size_t k, size_t at) {
            dpo.targets[at] = dpo.ids[at + 1];
            dpo.of_rows[row] += reference[row][k];
        });
        check_step(rlhf, "dpo", backend, {.loss = Loss::Preference, .of_rows = true, .preference = {.beta = 0.1f}}, dpo,
                   {});
    }
    {
        Batch reward(rlhf, 2);
        reward.of_rows.assign(kRows, 0);
        for (const size_t end : reward.ends) reward.targets[end] = 0;
        check_step(rlhf, "reward", backend,
                   {
                       .head = "class", .loss = Loss::Preference, .of_rows = true
        },
                   reward, {{"cls.output.weight", "value.weight"}});
    }
}

TEST(RlhfGoldens, LossesAndGradientsAreThoseOfPyTorch) {
    for (const KernelTable* table : kernel_tables()) {
        CpuBackend backend(*table, 2);
        check_all(backend);
    }
}

struct VulkanRlhfGoldens : Vulkan {};

TEST_F(VulkanRlhfGoldens, LossesAndGradientsAreThoseOfPyTorch) { check_all(backend()); }

}  // namespace
}  // namespace nib

// Classes, with weights and several of a text, tags, numbers, answers and BERT's pre-training, beside PyTorch:
// tests/goldens/make_task_goldens.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "io/gguf.h"
#include "model/convert.h"
#include "test_files.h"
#include "train/base_model.h"
#include "train/train_step.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;
using Rows = std::vector<std::vector<int32_t>>;

// Rows of different lengths as (B*T), filled up.
std::vector<int32_t> filled(const Rows& rows, size_t T, int32_t value) {
    std::vector<int32_t> all;
    for (const std::vector<int32_t>& row : rows) {
        all.insert(all.end(), row.begin(), row.end());
        all.resize(all.size() + T - row.size(), value);
    }
    return all;
}

std::vector<Objective> objectives_of(const std::string& name) {
    if (name == "classes")
        return {
            {.head = "class", .of_rows = true}
        };
    if (name == "numbers")
        return {
            {.head = "class", .loss = Loss::Squared, .of_rows = true}
        };
    if (name == "label_sets")
        return {
            {.head = "class", .loss = Loss::Binary, .of_rows = true}
        };
    if (name == "weighted")
        return {
            {.head = "class", .of_rows = true, .weighted = true}
        };
    if (name == "answers")
        return {
            {.head = "span", .loss = Loss::Span, .of_rows = true}
        };
    if (name == "tags")
        return {
            {.head = "tag", .share = 0.7}
        };
    return {
        {.head = "mlm", .share = 0.2   },
        {.head = "nsp", .of_rows = true}
    };
}

// Trains as PyTorch did, and holds the losses before each update to its own.
void check_case(const nlohmann::json& wanted, Backend& backend) {
    const auto name = wanted["name"].get<std::string>();
    SCOPED_TRACE(name + " on " + backend.name());
    const TempFolder folder;
    ConvertRequest request;
    request.input = golden("tasks/" + name);
    request.output = (folder / "model.gguf").string();
    request.type = DType::F32;
    convert_checkpoint(request, {[](const Note&) {}, [](double) {}});
    const GgufFile file = GgufFile::open(request.output);

    const Rows ids = wanted["ids"];
    TrainShape shape;
    shape.batch = std::ssize(ids), shape.time = 12;
    shape.ragged = true;
    shape.objectives = objectives_of(name);
    const auto rows = [&](const char* key, int32_t value) {
        return filled(wanted.contains(key) ? wanted[key].get<Rows>() : Rows(ids.size()), 12, value);
    };
    std::vector<int32_t> positions(48), lengths;
    for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i % 12);
    for (const std::vector<int32_t>& row : ids) lengths.push_back(static_cast<int32_t>(row.size()));
    const std::vector<int32_t> tokens = rows("ids", 0), segments = rows("segments", 0);
    const std::vector<int32_t> targets = rows("targets", kIgnore), second = rows("second", kIgnore);
    const auto floats = [&](const char* key) {
        return wanted.contains(key) ? wanted[key].get<std::vector<float>>() : std::vector<float>();
    };
    const std::vector<float> numbers = floats("numbers"), weights = floats("weights");

    TrainStep train(backend, read_config(file), shape);
    load_weights(file, 1, train);
    TrainStep::MicroBatch batch;
    batch.ragged = {positions, lengths, segments};
    batch.second = second;
    batch.numbers = numbers;
    batch.weights = weights;
    for (size_t step = 0; step < wanted["losses"].size(); ++step) {
        const TrainStep::Update update{
            .step = static_cast<int64_t>(step), .lr = 0.01, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};
        const double loss = train.last_micro_step(tokens, targets, batch, 0, update).loss;
        EXPECT_NEAR(loss, wanted["losses"][step].get<double>(), 1e-5) << "step " << step;
    }
}

nlohmann::json cases() { return nlohmann::json::parse(read_file(golden("tasks/cases.json"))); }

TEST(TaskGoldens, LossesOfTrainingAreThoseOfPyTorch) {
    for (const KernelTable* table : kernel_tables()) {
        CpuBackend backend(*table, 2);
        for (const auto& wanted : cases()) check_case(wanted, backend);
    }
}

struct VulkanTaskGoldens : Vulkan {};

TEST_F(VulkanTaskGoldens, LossesOfTrainingAreThoseOfPyTorch) {
    for (const auto& wanted : cases()) check_case(wanted, backend());
}

}  // namespace
}  // namespace nib

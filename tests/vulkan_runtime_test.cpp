// What surrounds the shaders: memory that is seen or not, cut into pieces or short; submissions; faults; kept shaders. On a
// software device that is made to look like others, watched by the Khronos validation layer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine_steps.h"
#include "gpt_case.h"
#include "infer/engine.h"
#include "io/atomic_file.h"
#include "io/gguf.h"
#include "model/loaded_model.h"
#include "test_files.h"
#include "train/memory.h"
#include "train/train_step.h"
#include "vulkan/instance.h"
#include "vulkan/loader.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;
using vulkan::Overrides;
using vulkan::ShaderStore;

// Vulkan's own functions, and what ours have counted.
vulkan::Functions real;
int submissions, command_buffers, waits, allocated_commands;
uint64_t patience;       // of the last wait, in ns
int works_so_often;      // until a function fails, once
size_t stored_bytes;     // that the driver was given
int arithmetic_shaders;  // that need subgroup arithmetic

VkResult counted_submit(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence) {
    ++submissions;
    command_buffers += static_cast<int>(count);
    return real.vkQueueSubmit(queue, count, infos, fence);
}
VkResult counted_wait(VkDevice device, uint32_t count, const VkFence* fences, VkBool32 all, uint64_t timeout) {
    ++waits;
    patience = timeout;
    return real.vkWaitForFences(device, count, fences, all, timeout);
}
VkResult counted_commands(VkDevice device, const VkCommandBufferAllocateInfo* info, VkCommandBuffer* out) {
    ++allocated_commands;
    return real.vkAllocateCommandBuffers(device, info, out);
}
VkResult counted_cache(VkDevice device, const VkPipelineCacheCreateInfo* info, const VkAllocationCallbacks* callbacks,
                       VkPipelineCache* out) {
    stored_bytes = info->initialDataSize;
    return real.vkCreatePipelineCache(device, info, callbacks, out);
}
VkResult counted_shader(VkDevice device, const VkShaderModuleCreateInfo* info, const VkAllocationCallbacks* callbacks,
                        VkShaderModule* out) {
    constexpr uint32_t kHeaderWords = 5, kCapability = 2 << 16 | 17, kGroupNonUniformArithmetic = 63;  // SPIR-V's numbers
    for (const uint32_t* word = info->pCode + kHeaderWords; *word == kCapability; word += 2)
        arithmetic_shaders += word[1] == kGroupNonUniformArithmetic;
    return real.vkCreateShaderModule(device, info, callbacks, out);
}
VkResult lost_submit(VkQueue, uint32_t, const VkSubmitInfo*, VkFence) { return VK_ERROR_DEVICE_LOST; }
VkResult lost_wait(VkDevice device, uint32_t count, const VkFence* fences, VkBool32 all, uint64_t timeout) {
    real.vkWaitForFences(device, count, fences, all, timeout);
    return VK_ERROR_DEVICE_LOST;
}
VkResult endless_wait(VkDevice device, uint32_t count, const VkFence* fences, VkBool32 all, uint64_t timeout) {
    real.vkWaitForFences(device, count, fences, all, timeout);
    return VK_TIMEOUT;
}
VkResult no_memory(VkDevice, const VkMemoryAllocateInfo*, const VkAllocationCallbacks*, VkDeviceMemory*) {
    return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

VkResult memory_once_full(VkDevice device, const VkMemoryAllocateInfo* info, const VkAllocationCallbacks* callbacks,
                          VkDeviceMemory* out) {
    return works_so_often-- == 0 ? VK_ERROR_OUT_OF_DEVICE_MEMORY : real.vkAllocateMemory(device, info, callbacks, out);
}
void unfit_once(VkDevice device, VkBuffer buffer, VkMemoryRequirements* out) {
    real.vkGetBufferMemoryRequirements(device, buffer, out);
    if (works_so_often-- == 0) out->memoryTypeBits = 0;
}
VkResult broken_compiler_once(VkDevice device, VkPipelineCache cache, uint32_t count,
                              const VkComputePipelineCreateInfo* infos, const VkAllocationCallbacks* callbacks,
                              VkPipeline* out) {
    if (works_so_often-- == 0) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return real.vkCreateComputePipelines(device, cache, count, infos, callbacks, out);
}

void count(vulkan::Functions& f) {
    real = f;
    f.vkQueueSubmit = counted_submit;
    f.vkWaitForFences = counted_wait;
    f.vkAllocateCommandBuffers = counted_commands;
    submissions = command_buffers = waits = allocated_commands = 0;
}

struct VulkanRuntime : VulkanDevice {
    void SetUp() override {
        VulkanDevice::SetUp();
        if (!IsSkipped() && !software_) GTEST_SKIP() << "not tested: there is no software device";
    }
};

// A model in a buffer that may be cut, and engines on it.
struct Model {
    Backend& backend;
    ModelConfig config = tiny_config();
    ParameterLayout layout;
    Arena memory;
    Weights weights;

    explicit Model(Backend& b)
        : backend(b), layout(config, {}, b.segment()), memory(b, static_cast<size_t>(layout.total) * 4) {
        size_t next = 0;
        Random random(7);
        weights = place_weights(config, [&](const ParameterSpec& spec) {
            const Location where{memory.buffer(), layout.offsets[next++]};
            std::vector<float> values(static_cast<size_t>(spec.shape.elements()));
            for (float& v : values) v = random.uniform(-0.5f, 0.5f);
            backend.upload(where, std::as_bytes(std::span(values)));
            return Weight{spec.name, spec.shape, DType::F32, where, {}};
        });
    }
    std::vector<float> logits() {
        Engine engine(backend, config, weights, {.slots = 2});
        std::vector<float> all;
        const auto add = [&](std::span<const float> rows) { all.insert(all.end(), rows.begin(), rows.end()); };
        add(engine.append(0, random_tokens(20, config.vocab, 3)));
        engine.copy(0, 1, 20);
        for (const int32_t id : {3, 16, 0}) add(decode(engine, std::vector<int32_t>{id, id / 2}));
        return all;
    }
};

std::vector<float> logits_on(Backend& backend) { return Model(backend).logits(); }

TEST_F(VulkanRuntime, BuffersHoldWhatIsPutThereSeenOrNotWholeOrInPieces) {
    std::vector<std::byte> bytes(9'000'001), back(bytes.size());  // more than the staging buffer has room for
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31 >> 3);
    for (const bool unified : {false, true})
        for (const uint64_t most : {uint64_t{0}, uint64_t{1} << 20}) {
            const auto backend = open({.max_allocation = most, .unified = unified});
            const int buffer = backend->allocate(bytes.size() + 100);
            backend->upload({buffer, 13}, bytes);
            backend->upload({buffer, (1 << 20) - 2}, std::span(bytes).first(5));
            std::vector<std::byte> expected = bytes;
            std::copy_n(bytes.begin(), 5, expected.begin() + (1 << 20) - 15);
            backend->download({buffer, 13}, back);
            EXPECT_TRUE(back == expected) << unified << " " << most;
            std::vector<std::byte> edge(13, std::byte{1});
            backend->download({buffer, 0}, edge);
            EXPECT_EQ(std::count(edge.begin(), edge.end(), std::byte{0}), 13) << "allocated buffers are zero";
            backend->release(buffer);
        }
}

TEST_F(VulkanRuntime, WeightsAreCutWhereTensorsBegin) {
    const auto backend = open({.max_allocation = 8192});
    ASSERT_EQ(backend->segment(), 8192u);
    std::vector<std::byte> bytes(30'000), back(bytes.size());
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 >> 2);
    const std::vector<size_t> cuts = {96, 4096, 8000, 16192, 20000, 24000};
    const int buffer = backend->map_weights(bytes, cuts);
    backend->download({buffer, 0}, back);
    EXPECT_TRUE(back == bytes);
    EXPECT_MENTIONS(error_of([&] { backend->map_weights(bytes, std::vector<size_t>{96, 16192, 24000}); }), "8.0 KiB");
}

TEST_F(VulkanRuntime, ModelFilesMayBeLargerThanAnAllocation) {
    const GgufFile file = GgufFile::open(golden("gpt_tied.gguf"));
    size_t largest = 0;
    for (const GgufTensor& t : file.tensors()) largest = std::max(largest, t.data.size());
    ASSERT_LT(largest + 4096, file.bytes().size());
    const auto backend = open({.max_allocation = largest + 4096});
    const int buffer = map_weights(*backend, file);
    for (const GgufTensor& t : file.tensors()) {
        std::vector<std::byte> back(t.data.size());
        backend->download({buffer, static_cast<size_t>(t.data.data() - file.bytes().data())}, back);
        EXPECT_TRUE(std::equal(back.begin(), back.end(), t.data.begin(), t.data.end())) << t.name;
    }

    const TempFolder folder;
    const std::vector<float> values(1025);
    GgufWriter writer;
    writer.add("wide", DType::F32, {1025}, std::as_bytes(std::span(values)));
    AtomicFile written((folder / "x.gguf").string());
    writer.write(written);
    written.publish();
    const auto small = open({.max_allocation = 4096});
    EXPECT_MENTIONS(error_of([&] { map_weights(*small, GgufFile::open(written.path())); }), "tensor `wide` needs 4.0 KiB");
}

TEST_F(VulkanRuntime, EveryKindOfDeviceGivesTheSameLogits) {
    const auto plain = open();
    const std::vector<float> expected = logits_on(*plain);
    for (const Overrides& o : {
             Overrides{.unified = false       },
             Overrides{.max_allocation = 12288, .unified = false},
             Overrides{.max_allocation = 12288,                       .unified = true},
             Overrides{.max_work = 1000}
    }) {
        const auto backend = open(o);
        EXPECT_EQ(logits_on(*backend), expected) << o.max_allocation << " " << o.max_work;
    }
}

// Losses and gradient norms of two steps.
std::vector<double> training_on(Backend& backend) {
    TrainShape shape;
    shape.batch = 3, shape.time = 18;
    shape.dropout = 0.1f;
    TrainStep train(backend, tiny_config(), shape);
    train.initialise(1);
    const std::vector<int32_t> ids = random_tokens(train.rows(), 17, 1), targets = random_tokens(train.rows(), 17, 2);
    std::vector<double> numbers;
    waits = 0;
    for (int64_t step = 0; step < 2; ++step) {
        const TrainStep::Outcome outcome = train.last_micro_step(
            ids, targets, {.seed = 1}, 0.5, {.step = step, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8});
        numbers.insert(numbers.end(), {outcome.loss, outcome.norm});
    }
    return numbers;
}

TEST_F(VulkanRuntime, EveryKindOfDeviceTrainsTheSame) {
    const std::vector<double> expected = training_on(*open());
    const std::vector<double> pieces = training_on(*open({.max_allocation = 12288}));
    for (size_t i = 0; i < pieces.size(); ++i)  // norms, each the root of one sum of squares for each allocation
        EXPECT_NEAR(pieces[i], expected[i], i % 2 ? 1e-6 : 0);
    EXPECT_EQ(training_on(*open({.unified = false, .max_work = 1000, .change_functions = count})), expected);
    EXPECT_EQ(waits, 2) << "one a step; the first values come with the first";
}

TEST_F(VulkanRuntime, RefusesWhatDoesNotFitWithTheSizes) {
    const auto pieces = open({.max_allocation = 4096});
    Graph g(Mode::Infer);
    const Tensor rows = g.input("rows", {1}, DType::I32), x = g.input("x", {1, 3, 512}, DType::F32);
    g.output(g.gather(x, rows));
    expect_contains(error_of([&] { compile(std::move(g), *pieces); }), {"tensor `x` needs 6.0 KiB", "at most 4.0 KiB"});
    const auto small = open({.memory = uint64_t{8} << 20});
    small->allocate(1 << 20);
    expect_contains(error_of([&] { small->allocate(8 << 20); }),
                    {"8.0 MiB of memory are needed", "choose a smaller model"});
}

TEST_F(VulkanRuntime, AStepIsOneSubmission) {
    const auto backend = open({.unified = false, .change_functions = count});
    Model model(*backend);
    Engine engine(*backend, model.config, model.weights);
    engine.append(0, std::vector<int32_t>{1});
    submissions = command_buffers = waits = allocated_commands = 0;
    for (const int32_t id : {2, 3, 4}) engine.append(0, std::vector<int32_t>{id});
    EXPECT_EQ(submissions, 3) << "inputs, the plan and the logits together";
    EXPECT_EQ(waits, 3);
    EXPECT_EQ(command_buffers, 6) << "one of inputs, one of the plan";
    EXPECT_EQ(allocated_commands, 0);
}

TEST_F(VulkanRuntime, LongPlansComeInSeveralSubmissions) {
    const auto backend = open({.max_work = 1000, .change_functions = count});
    Model model(*backend);
    Engine engine(*backend, model.config, model.weights);
    engine.append(0, std::vector<int32_t>{1});
    EXPECT_EQ(waits, 1);
    EXPECT_GT(submissions, 4) << "kernels end jobs that take long, and what is submitted together is one";
}

TEST_F(VulkanRuntime, HangsAreReportedInMinutes) {
    const auto backend = open({.software = false, .max_work = 1000, .change_functions = count});
    logits_on(*backend);
    EXPECT_GE(patience, 60'000'000'000u);
    EXPECT_LE(patience, 60'000'000'000u + static_cast<uint64_t>(command_buffers) * 5'000'000'000u);
}

// What would stay is reported by the validation layer when the device is closed.
TEST_F(VulkanRuntime, NothingStaysAfterFailures) {
    const Overrides small{.max_allocation = 1 << 20, .memory = 7 << 19};
    Overrides full = small, unfit = small, broken;
    full.change_functions = [](vulkan::Functions& f) { real = f, f.vkAllocateMemory = memory_once_full; };
    unfit.change_functions = [](vulkan::Functions& f) { real = f, f.vkGetBufferMemoryRequirements = unfit_once; };
    broken.change_functions = [](vulkan::Functions& f) { real = f, f.vkCreateComputePipelines = broken_compiler_once; };
    const std::vector<std::byte> bytes(3 << 20);
    const std::vector<size_t> cuts = {1 << 20, 2 << 20};
    for (const auto& [overrides, text] : {
             std::pair{full,  "not enough memory"    },
             std::pair{unfit, "no memory of the kind"}
    })
        for (const bool weights : {false, true}) {
            works_so_often = 3;  // for what a step reads and two segments
            const auto backend = open(overrides);
            const auto allocate = [&] {
                return weights ? backend->map_weights(bytes, cuts) : backend->allocate(bytes.size());
            };
            EXPECT_MENTIONS(error_of(allocate), text);
            backend->release(allocate());
        }
    works_so_often = 5;
    const auto backend = open(broken);
    EXPECT_MENTIONS(error_of([&] { logits_on(*backend); }), "compiling a shader");
    EXPECT_EQ(logits_on(*backend), logits_on(*open()));
}

TEST(VulkanDevices, ComputeBesideTheDesktopWhereTheyCan) {
    const auto chosen = [](std::initializer_list<VkQueueFlags> flags) {
        std::vector<VkQueueFamilyProperties> families;
        for (const VkQueueFlags f : flags) families.push_back({f, 1, 0, {}});
        return vulkan::compute_family(families);
    };
    constexpr VkQueueFlags kCompute = VK_QUEUE_COMPUTE_BIT, kBoth = kCompute | VK_QUEUE_GRAPHICS_BIT,
                           kCopy = VK_QUEUE_TRANSFER_BIT;
    EXPECT_EQ(chosen({kBoth, kCopy, kCompute | kCopy, kCompute}), 2);
    EXPECT_EQ(chosen({kCopy, VK_QUEUE_GRAPHICS_BIT, kBoth}), 2);
    EXPECT_EQ(chosen({kCopy, VK_QUEUE_GRAPHICS_BIT}), -1);
    EXPECT_EQ(chosen({}), -1);
}

TEST_F(VulkanRuntime, FaultsAreOneLineAndNothingHangs) {
    using Change = void (*)(vulkan::Functions&);
    const std::pair<Change, const char*> faults[] = {
        {[](vulkan::Functions& f) { f.vkQueueSubmit = lost_submit; },              "stopped answering"},
        {[](vulkan::Functions& f) { real = f, f.vkWaitForFences = lost_wait; },    "stopped answering"},
        {[](vulkan::Functions& f) { real = f, f.vkWaitForFences = endless_wait; }, "does not answer"  },
    };
    for (const auto& [change, text] : faults)
        for (const bool unified : {true, false}) {
            const auto backend = open({.unified = unified, .change_functions = change});
            const auto run = [&] { logits_on(*backend); };
            EXPECT_MENTIONS(error_of(run), text);
            EXPECT_MENTIONS(error_of(run), text);  // still, and at once
        }
    const auto full = [&] { open({.change_functions = [](vulkan::Functions& f) { f.vkAllocateMemory = no_memory; }}); };
    EXPECT_MENTIONS(error_of(full), "not enough memory");
}

TEST_F(VulkanRuntime, SoftwareIsNoHardware) {
    EXPECT_MENTIONS(error_of([&] { open({.software = true}, {}, vulkan::kHardware); }), "no GPU");
    EXPECT_NE(open({.software = false}, {}, vulkan::kHardware), nullptr);
}

TEST_F(VulkanRuntime, SubgroupArithmeticIsUsedWhereThereIsSome) {
    Overrides overrides{
        .change_functions = [](vulkan::Functions& f) { real = f, f.vkCreateShaderModule = counted_shader; }};
    const bool has = vulkan::list_devices().devices[static_cast<size_t>(device_)].subgroup_arithmetic;
    for (const bool wanted : {false, true}) {
        overrides.subgroup_arithmetic = wanted;
        arithmetic_shaders = 0;
        logits_on(*open(overrides));
        EXPECT_EQ(arithmetic_shaders > 0, wanted && has);
    }
}

TEST_F(VulkanRuntime, ShadersAreKeptAndDamagedOnesIgnored) {
    constexpr size_t kHeader = 24;  // ours
    const Overrides counting{
        .change_functions = [](vulkan::Functions& f) { real = f, f.vkCreatePipelineCache = counted_cache; }};
    std::map<std::string, std::string> files;
    int saved = 0;
    const ShaderStore store{[&](const std::string& name) { return files[name]; },
                            [&](const std::string& name, const std::string& bytes) { ++saved, files[name] = bytes; }};
    const std::vector<float> expected = logits_on(*open({}, store));
    ASSERT_EQ(files.size(), 1u) << "one of each device and driver";
    const std::string name = files.begin()->first, good = files.begin()->second;
    ASSERT_GE(good.size(), kHeader + sizeof(VkPipelineCacheHeaderVersionOne));
    EXPECT_EQ(saved, 1);
    EXPECT_EQ(logits_on(*open(counting, store)), expected);
    EXPECT_EQ(stored_bytes, good.size() - kHeader);
    EXPECT_EQ(saved, 1) << "nothing is new";

    std::string foreign = good;
    foreign[kHeader + 8] = static_cast<char>(foreign[kHeader + 8] ^ 1);  // the vendor
    uint64_t sum = 0xcbf29ce484222325;
    for (size_t i = kHeader; i < foreign.size(); ++i) sum = (sum ^ static_cast<uint8_t>(foreign[i])) * 0x100000001b3;
    std::memcpy(foreign.data() + 16, &sum, sizeof sum);
    std::vector<std::string> bad = {
        "",         "nib",  good.substr(0, kHeader - 1), good.substr(0, kHeader), good.substr(0, good.size() - 1),
        good + "x", foreign};
    for (const size_t at : {size_t{0}, size_t{8}, size_t{16}, kHeader, kHeader + 20, good.size() - 1}) {
        bad.push_back(good);
        bad.back()[at] = static_cast<char>(bad.back()[at] ^ 0x40);
    }
    for (const std::string& bytes : bad) {
        files[name] = bytes;
        open(counting, store);
        EXPECT_EQ(stored_bytes, 0u) << "the driver saw what was damaged";
    }
    EXPECT_EQ(logits_on(*open({}, store)), expected);
    EXPECT_EQ(files[name].size(), good.size()) << "it is written anew";
    const ShaderStore broken{[](const std::string&) -> std::string { fail("unreadable"); },
                             [](const std::string&, const std::string&) { fail("unwritable"); }};
    EXPECT_EQ(logits_on(*open({}, broken)), expected);
}

}  // namespace
}  // namespace nib

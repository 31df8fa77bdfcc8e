#include "vulkan/pipelines.h"

#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "core/error.h"

namespace nib::vulkan {
namespace {

// ---- the stored file: the driver's own data behind a header of ours, since drivers do not check for damage -------------

struct StoredHeader {
    char magic[8] = {'n', 'i', 'b', 's', 'h', 'a', 'd', '1'};
    uint64_t bytes = 0, checksum = 0;  // of the driver's data
};

uint64_t checksum(std::string_view bytes) {  // FNV-1a
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    return hash;
}

std::string hex(std::span<const uint8_t> bytes) {
    std::string text;
    for (const uint8_t b : bytes) text += strprintf("%02x", b);
    return text;
}

std::string stored_name(const VkPhysicalDeviceProperties& p) {
    return strprintf("shaders-%x-%x-%x-", p.vendorID, p.deviceID, p.driverVersion) + hex(p.pipelineCacheUUID) + ".bin";
}

// The driver's data in the stored file; empty if it is damaged or from another driver.
std::string_view driver_data(std::string_view stored, const VkPhysicalDeviceProperties& p) {
    StoredHeader header;
    if (stored.size() < sizeof header) return {};
    const std::string_view data = stored.substr(sizeof header);
    const StoredHeader expected{.bytes = data.size(), .checksum = checksum(data)};
    std::memcpy(&header, stored.data(), sizeof header);
    if (std::memcmp(&header, &expected, sizeof header) != 0) return {};
    VkPipelineCacheHeaderVersionOne own{};
    if (data.size() < sizeof own) return {};
    std::memcpy(&own, data.data(), sizeof own);
    const bool same = own.headerSize == sizeof own && own.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
                      own.vendorID == p.vendorID && own.deviceID == p.deviceID &&
                      std::memcmp(own.pipelineCacheUUID, p.pipelineCacheUUID, sizeof own.pipelineCacheUUID) == 0;
    return same ? data : std::string_view{};
}

}  // namespace

Pipelines::Pipelines(Device& device, ShaderStore store) : device_(device), store_(std::move(store)) {
    if (!store_.load) return;
    std::string stored;
    try {
        stored = store_.load(stored_name(device_.properties()));
    } catch (const std::exception&) {
        // Shaders are compiled instead.
    }
    const std::string_view data = driver_data(stored, device_.properties());
    loaded_ = data.size();
    VkPipelineCacheCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    info.initialDataSize = data.size();
    info.pInitialData = data.data();
    if (device_.vk().vkCreatePipelineCache(device_.handle(), &info, nullptr, &cache_) != VK_SUCCESS) cache_ = nullptr;
}

Pipelines::~Pipelines() {
    if (device_.hangs()) return;
    try {
        save();
    } catch (const std::exception&) {
        // They are compiled again next time.
    }
    for (auto& [key, p] : pipelines_) destroy(p);
    device_.vk().vkDestroyPipelineCache(device_.handle(), cache_, nullptr);
}

void Pipelines::destroy(Pipeline& p) const {
    const Functions& vk = device_.vk();
    vk.vkDestroyPipeline(device_.handle(), p.pipeline, nullptr);
    vk.vkDestroyPipelineLayout(device_.handle(), p.layout, nullptr);
    vk.vkDestroyDescriptorSetLayout(device_.handle(), p.set_layout, nullptr);
}

void Pipelines::save() const {
    size_t bytes = 0;
    const auto get = [&](char* to) {
        return cache_ != nullptr && device_.vk().vkGetPipelineCacheData(device_.handle(), cache_, &bytes, to) == VK_SUCCESS;
    };
    if (!get(nullptr) || bytes == loaded_) return;
    std::string data(bytes, '\0');
    if (!get(data.data())) return;
    data.resize(bytes);
    const StoredHeader header{.bytes = data.size(), .checksum = checksum(data)};
    std::string stored(sizeof header, '\0');
    std::memcpy(stored.data(), &header, sizeof header);
    store_.save(stored_name(device_.properties()), stored + data);
}

const Pipeline& Pipelines::get(const Shader& shader, const Constants& all) {
    using Words = std::array<uint32_t, sizeof(Constants) / 4>;
    Constants own = all;
    own.keep(shader.tensors());
    auto words = std::bit_cast<Words>(own);
    for (size_t i = 0; i < words.size(); ++i)
        if ((shader.constants() >> i & 1) == 0) words[i] = 0;
    const auto constants = std::bit_cast<Constants>(words);
    const auto [known, is_new] = pipelines_.try_emplace({&shader, constants});
    if (!is_new) return known->second;
    try {
        make(known->second, shader, constants);
    } catch (...) {
        destroy(known->second);
        pipelines_.erase(known);
        throw;
    }
    return known->second;
}

void Pipelines::make(Pipeline& p, const Shader& shader, const Constants& constants) const {
    const Functions& vk = device_.vk();
    std::vector<VkDescriptorSetLayoutBinding> bindings;
    for (uint32_t i = 0; i <= kTensors; ++i)
        if (i == 0 || (shader.tensors() >> (i - 1) & 1))
            bindings.push_back({i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
    CHECK(bindings.size() <= kMaxBindings);
    VkDescriptorSetLayoutCreateInfo set{};
    set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    set.bindingCount = static_cast<uint32_t>(bindings.size());
    set.pBindings = bindings.data();
    check(vk.vkCreateDescriptorSetLayout(device_.handle(), &set, nullptr, &p.set_layout), "preparing a shader");
    const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(Push)};
    VkPipelineLayoutCreateInfo layout{};
    layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    layout.setLayoutCount = 1;
    layout.pSetLayouts = &p.set_layout;
    layout.pushConstantRangeCount = 1;
    layout.pPushConstantRanges = &push;
    check(vk.vkCreatePipelineLayout(device_.handle(), &layout, nullptr, &p.layout), "preparing a shader");

    VkShaderModuleCreateInfo code{};
    code.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    const std::span<const uint32_t> words = shader.code(device_.info().subgroup_arithmetic);
    code.codeSize = words.size_bytes();
    code.pCode = words.data();
    VkShaderModule module = nullptr;
    check(vk.vkCreateShaderModule(device_.handle(), &code, nullptr, &module), "preparing a shader");
    std::array<VkSpecializationMapEntry, sizeof constants / 4> entries;
    for (uint32_t i = 0; i < entries.size(); ++i) entries[i] = {i, 4 * i, 4};
    const VkSpecializationInfo special{static_cast<uint32_t>(entries.size()), entries.data(), sizeof constants, &constants};
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &special;
    info.layout = p.layout;
    const VkResult result = vk.vkCreateComputePipelines(device_.handle(), cache_, 1, &info, nullptr, &p.pipeline);
    vk.vkDestroyShaderModule(device_.handle(), module, nullptr);
    check(result, "compiling a shader");
}

}  // namespace nib::vulkan

// Shaders, compiled by the driver when they are first needed, and kept for the next start.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "vulkan/device.h"
#include "vulkan/dispatch.h"

namespace nib::vulkan {

/// A shader with its specialization constants, ready to be launched.
struct Pipeline {
    VkDescriptorSetLayout set_layout = nullptr;
    VkPipelineLayout layout = nullptr;
    VkPipeline pipeline = nullptr;
};

class Pipelines {
public:
    /// Uses what the store has, if it is intact and of this device and driver.
    Pipelines(Device& device, ShaderStore store);
    /// Saves what is new.
    ~Pipelines();
    Pipelines(const Pipelines&) = delete;
    Pipelines& operator=(const Pipelines&) = delete;

    /// Compiles it the first time. Constants on which the shader does not depend make no difference.
    const Pipeline& get(const Shader& shader, const Constants& constants);

private:
    void save() const;
    void make(Pipeline& p, const Shader& shader, const Constants& constants) const;
    void destroy(Pipeline& p) const;

    Device& device_;
    const ShaderStore store_;
    VkPipelineCache cache_ = nullptr;
    size_t loaded_ = 0;  // bytes from the store
    std::map<std::pair<const Shader*, Constants>, Pipeline> pipelines_;
};

}  // namespace nib::vulkan

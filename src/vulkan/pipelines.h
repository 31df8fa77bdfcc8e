// Pipelines, compiled by the driver on first use and cached on disk.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "vulkan/device.h"
#include "vulkan/dispatch.h"

namespace nib::vulkan {

/// A shader with its specialization constants, ready for dispatch.
struct Pipeline {
    VkDescriptorSetLayout set_layout = nullptr;
    VkPipelineLayout layout = nullptr;
    VkPipeline pipeline = nullptr;
};

class Pipelines {
public:
    /// Loads the stored cache if it is intact and of this device and driver.
    Pipelines(Device& device, ShaderStore store);
    /// Saves the cache if it has grown.
    ~Pipelines();
    Pipelines(const Pipelines&) = delete;
    Pipelines& operator=(const Pipelines&) = delete;

    /// Compiles on first use. Constants that the shader does not use are ignored.
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

#include "vulkan/backend.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/plan.h"
#include "vulkan/transfers.h"

namespace nib::vulkan {
namespace {

// A plan's commands, recorded once.
struct VulkanPlan : Executable {
    explicit VulkanPlan(Device& device) : device(device) {}
    VulkanPlan(const VulkanPlan&) = delete;
    VulkanPlan& operator=(const VulkanPlan&) = delete;
    ~VulkanPlan() override {
        device.free(commands);
        device.vk().vkDestroyDescriptorPool(device.handle(), pool, nullptr);
        for (const VkBufferView view : texels) device.vk().vkDestroyBufferView(device.handle(), view, nullptr);
        device.release(scratch);
    }
    Device& device;
    VkDescriptorPool pool = nullptr;
    std::vector<VkBufferView> texels;
    VkCommandBuffer commands = nullptr;
    Buffer scratch;
};

constexpr uint64_t kMaxPiece = uint64_t{1} << 30;  // of a matrix: shaders count its elements in 32 bits
constexpr uint64_t kScratchAlign = 256;            // as much as any device asks of the start of a binding

// One node on its way into a plan.
struct Part {
    const Plan& plan;
    const Node& node;
    VulkanPlan& made;
    VkDescriptorBufferInfo scratch;  // the node's own
};

class VulkanBackend : public Backend {
public:
    VulkanBackend(int index, Messages messages, const Overrides& overrides)
        : device_(index, std::move(messages), overrides),
          transfers_(std::make_unique<Transfers>(device_)),
          step_(device_.allocate(sizeof(StepValues), true)) {}
    ~VulkanBackend() override {
        for (Buffer& b : buffers_) device_.release(b);
        device_.release(step_);
    }

    std::string name() const override { return "vulkan " + device_.info().name; }
    int workers() const override { return 0; }
    bool supports(const Node& node) const override { return vulkan::supports(node); }
    int map_weights(std::span<const std::byte> bytes) override;
    int allocate(size_t bytes) override;
    void release(int buffer) override;
    void upload(Location to, std::span<const std::byte> bytes) override;
    void download(Location from, std::span<std::byte> bytes) const override;
    void prepare(Plan& plan) override;
    void run(const Plan& plan, const Step& step) override;

private:
    const Buffer& buffer(Location where, size_t bytes) const;
    VkDescriptorBufferInfo place(const Part& part, int tensor, Dispatch& d) const;
    VkBufferView texels(const Part& part, const VkDescriptorBufferInfo& where, bool fours);
    VkDescriptorSet bind(const Part& part, Dispatch& d);
    void record(const Part& part, std::vector<Dispatch>& launches);

    mutable Device device_;
    std::unique_ptr<Transfers> transfers_;  // mutable by download() const: the device's contents do not change
    Buffer step_;                           // StepValues
    std::vector<Buffer> buffers_;
};

// ---- memory ----------------------------------------------------------------------------------------------------------

int VulkanBackend::allocate(size_t bytes) {
    buffers_.push_back(device_.allocate(bytes, false));
    transfers_->clear(buffers_.back());
    return static_cast<int>(buffers_.size()) - 1;
}

int VulkanBackend::map_weights(std::span<const std::byte> bytes) {
    buffers_.push_back(device_.allocate(bytes.size(), false));
    transfers_->upload(buffers_.back(), 0, bytes);
    return static_cast<int>(buffers_.size()) - 1;
}

void VulkanBackend::release(int buffer) {
    try {
        transfers_->finish();  // which may be into this buffer
    } catch (const Error&) {
        // A device that is lost is reported by what was to be computed on it.
    }
    device_.release(buffers_[static_cast<size_t>(buffer)]);
}

const Buffer& VulkanBackend::buffer(Location where, size_t bytes) const {
    const Buffer& b = buffers_[static_cast<size_t>(where.buffer)];
    CHECK(where.offset <= b.bytes && bytes <= b.bytes - where.offset);
    return b;
}

void VulkanBackend::upload(Location to, std::span<const std::byte> bytes) {
    transfers_->upload(buffer(to, bytes.size()), to.offset, bytes);
}

void VulkanBackend::download(Location from, std::span<std::byte> bytes) const {
    transfers_->download(buffer(from, bytes.size()), from.offset, bytes);
}

// ---- plans -----------------------------------------------------------------------------------------------------------

// Where the shader finds a tensor: bindings begin at multiples of the device's alignment, the rest is a shift.
VkDescriptorBufferInfo VulkanBackend::place(const Part& part, int tensor, Dispatch& d) const {
    const auto& [plan, node, made, scratch] = part;
    if (d.scratch == tensor) return scratch;
    const auto i = static_cast<size_t>(tensor);
    const Tensor t = tensor < kMaxIn ? node.in[i] : node.out[i - kMaxIn];
    // Something must be bound for what is absent: for inputs what is never written, for outputs what is written anyway.
    if (!t && tensor < kMaxIn) return {step_.buffer, 0, sizeof(StepValues)};
    if (!t) return place(part, kMaxIn, d);
    const TensorInfo& info = plan.tensors[static_cast<size_t>(t.id)];
    Location where = plan.locate(t);
    uint64_t bytes = info.bytes();
    if (d.pieces >> tensor & 1) {
        const size_t row = dtype_bytes(info.type, d.row_elements);
        where.offset += row * d.push.begin;
        bytes = row * (d.push.end - d.push.begin);
    }
    const Buffer& b = buffer(where, bytes);
    const DTypeInfo& type = *dtype_info(info.type);
    const uint64_t rest = where.offset % device_.offset_alignment();
    const auto element = static_cast<uint64_t>(type.block_size == 1 ? type.block_bytes : 1);  // what is shifted by
    if (rest % element != 0)
        fail("tensor `%s` lies at byte %zu, which is not a multiple of its elements' %zu bytes",
             printable(info.name).c_str(), where.offset, static_cast<size_t>(element));
    const uint64_t range = (rest + bytes + 3) / 4 * 4;
    if (range > device_.info().max_buffer_range)
        fail("a tensor %s of %s is needed, but shaders of %s reach only %s; choose a smaller batch or context",
             info.shape.text().c_str(), human_bytes(static_cast<double>(bytes)).c_str(), device_.info().name.c_str(),
             human_bytes(static_cast<double>(device_.info().max_buffer_range)).c_str());
    d.push.shift[i] = static_cast<uint32_t>(rest / element);
    if (d.push.shift[i] % 4 != 0) d.constants.fours &= ~(1u << i);
    return {b.buffer, where.offset - rest, range};
}

VkBufferView VulkanBackend::texels(const Part& part, const VkDescriptorBufferInfo& where, bool fours) {
    VkBufferViewCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO;
    info.buffer = where.buffer;
    info.offset = where.offset;
    info.format = fours ? VK_FORMAT_R32G32B32A32_SFLOAT : VK_FORMAT_R32_SFLOAT;
    info.range = fours ? (where.range + 15) / 16 * 16 : where.range;  // buffers are a multiple of that
    part.made.texels.push_back(nullptr);
    check(device_.vk().vkCreateBufferView(device_.handle(), &info, nullptr, &part.made.texels.back()), "preparing a plan");
    return part.made.texels.back();
}

VkDescriptorSet VulkanBackend::bind(const Part& part, Dispatch& d) {
    std::array<VkDescriptorBufferInfo, kMaxBindings> places;
    std::array<VkBufferView, kMaxBindings> views{};
    std::array<VkWriteDescriptorSet, kMaxBindings> writes;
    uint32_t count = 0;
    const auto add = [&](uint32_t binding, const VkDescriptorBufferInfo& where) {
        places[count] = where;
        VkWriteDescriptorSet& write = writes[count] = {};
        write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        write.dstBinding = binding;
        write.descriptorCount = 1;
        write.descriptorType = descriptor_type(*d.shader, binding);
        write.pBufferInfo = &places[count];
        write.pTexelBufferView = &views[count];
        if (write.descriptorType == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER)
            views[count] = texels(part, where, (d.constants.fours >> (binding - 1) & 1) != 0);
        ++count;
    };
    add(0, {step_.buffer, 0, sizeof(StepValues)});
    for (int i = 0; i < kTensors; ++i)
        if (d.shader->tensors >> i & 1) add(static_cast<uint32_t>(i + 1), place(part, i, d));
    VkDescriptorSetAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    info.descriptorPool = part.made.pool;
    info.descriptorSetCount = 1;
    info.pSetLayouts = &device_.pipeline(*d.shader, d.constants).set_layout;
    VkDescriptorSet set = nullptr;
    check(device_.vk().vkAllocateDescriptorSets(device_.handle(), &info, &set), "preparing a plan");
    for (uint32_t i = 0; i < count; ++i) writes[i].dstSet = set;
    device_.vk().vkUpdateDescriptorSets(device_.handle(), count, writes.data(), 0, nullptr);
    return set;
}

void VulkanBackend::record(const Part& part, std::vector<Dispatch>& launches) {
    const Functions& vk = device_.vk();
    for (Dispatch& d : launches) {
        if (d.waits) device_.barrier(part.made.commands);
        const VkDescriptorSet set = bind(part, d);
        const Pipeline& p = device_.pipeline(*d.shader, d.constants);
        vk.vkCmdBindPipeline(part.made.commands, VK_PIPELINE_BIND_POINT_COMPUTE, p.pipeline);
        vk.vkCmdBindDescriptorSets(part.made.commands, VK_PIPELINE_BIND_POINT_COMPUTE, p.layout, 0, 1, &set, 0, nullptr);
        vk.vkCmdPushConstants(part.made.commands, p.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(Push), &d.push);
        vk.vkCmdDispatch(part.made.commands, d.groups_x, d.groups_y, 1);
    }
}

void VulkanBackend::prepare(Plan& plan) {
    auto made = std::make_unique<VulkanPlan>(device_);
    // A binding may begin up to an alignment before its rows.
    const Limits limits{std::min(device_.info().max_buffer_range, kMaxPiece) - device_.offset_alignment(),
                        device_.info().software, device_.max_texels()};
    std::vector<std::vector<Dispatch>> launches;  // by node
    uint32_t sets = 0;
    for (const Node& node : plan.nodes) {
        launches.push_back(dispatches(node, limits));
        sets += static_cast<uint32_t>(launches.back().size());
    }
    const VkDescriptorPoolSize sizes[] = {
        {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,       sets * kMaxBindings},
        {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, sets * kMaxBindings}
    };
    VkDescriptorPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    info.maxSets = sets;
    info.poolSizeCount = std::size(sizes);
    info.pPoolSizes = sizes;
    check(device_.vk().vkCreateDescriptorPool(device_.handle(), &info, nullptr, &made->pool), "preparing a plan");
    // Nodes of a stage run at the same time, each on scratch of its own.
    std::vector<uint64_t> scratch_at(plan.nodes.size());
    uint64_t scratch_end = 0;
    for (const Stage& stage : plan.stages)
        for (uint64_t at = 0; const int index : stage.nodes) {
            scratch_at[static_cast<size_t>(index)] = at;
            const uint64_t bytes = scratch_bytes(plan.nodes[static_cast<size_t>(index)]);
            at += (bytes + kScratchAlign - 1) / kScratchAlign * kScratchAlign;
            scratch_end = std::max(scratch_end, at);
        }
    if (scratch_end > 0) made->scratch = device_.allocate(scratch_end, false);
    made->commands = device_.begin(0);
    for (const Stage& stage : plan.stages) {
        device_.barrier(made->commands);
        for (const auto i : stage.nodes) {
            const auto index = static_cast<size_t>(i);
            const Node& node = plan.nodes[index];
            const VkDescriptorBufferInfo scratch{made->scratch.buffer, scratch_at[index], scratch_bytes(node)};
            record({plan, node, *made, scratch}, launches[index]);
        }
    }
    check(device_.vk().vkEndCommandBuffer(made->commands), "preparing a plan");
    plan.executable = std::move(made);
}

void VulkanBackend::run(const Plan& plan, const Step& step) {
    const StepValues values(step);
    std::memcpy(step_.host, &values, sizeof values);
    transfers_->run_before(static_cast<const VulkanPlan&>(*plan.executable).commands);
}

}  // namespace

std::unique_ptr<Backend> open_backend(int index, Messages messages, const Overrides& overrides) {
    return std::make_unique<VulkanBackend>(index, std::move(messages), overrides);
}

}  // namespace nib::vulkan

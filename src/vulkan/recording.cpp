#include "vulkan/recording.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "core/error.h"
#include "vulkan/dispatch_common.h"

namespace nib::vulkan {
namespace {

constexpr uint64_t kMaxPiece = uint64_t{1} << 30;  // of a matrix: shaders count its elements in 32 bits
// The largest tensors that each run copies to the host at its end, in bytes:
constexpr uint64_t kMaxResult = uint64_t{1} << 20;  // outputs of the plan
constexpr uint64_t kMaxSmall = 64;                  // other tensors, such as the gradient's norm

// A node to be recorded.
struct Part {
    const Plan& plan;
    const Node& node;
    VkDescriptorBufferInfo scratch;
};

bool is_f16_activation(const Node& node, int operand) {
    return op_info(node.op).operands[operand].types == Types::Activation &&
           node.types[static_cast<size_t>(operand)] == DType::F16;
}

class Recorder {
public:
    Recorder(const Plan& plan, const RecordingContext& context, Recording& made) : plan_(plan), c_(context), made_(made) {}
    void run(std::vector<std::vector<Dispatch>> launches);

private:
    VkDescriptorBufferInfo place(const Part& part, int tensor, Dispatch& d) const;
    VkDescriptorSet bind(const Part& part, Dispatch& d);
    void make_pool(const std::vector<std::vector<Dispatch>>& launches);
    std::vector<uint64_t> make_scratch();
    void begin(double work);
    void end();
    void launch(const Part& part, Dispatch& d);
    void copy_results();

    const Plan& plan_;
    const RecordingContext& c_;
    Recording& made_;
    double work_ = 0;  // of the last command buffer
};

// The binding of a tensor. Bindings begin at multiples of the device's alignment; shaders add the rest as a shift.
VkDescriptorBufferInfo Recorder::place(const Part& part, int tensor, Dispatch& d) const {
    const auto& [plan, node, scratch] = part;
    const auto i = static_cast<size_t>(tensor);
    const bool is_scratch = d.bound[i] == kScratch;
    if (is_scratch && scratch.range > 0) return scratch;
    const Tensor t = is_scratch ? Tensor{} : node[d.bound[i]];
    // An absent tensor needs a binding, too, though shaders never access it.
    if (!t && (is_scratch || tensor < kMaxIn)) return {c_.step.buffer, 0, sizeof(StepValues)};
    if (!t) {
        CHECK(tensor > kMaxIn);  // of an op without outputs this would go on for ever
        return place(part, kMaxIn, d);
    }
    const TensorInfo& info = plan.tensors[static_cast<size_t>(t.id)];
    Location where = plan.locate(t);
    uint64_t bytes = info.bytes();
    if (d.pieces >> tensor & 1) {
        const size_t row = dtype_bytes(info.type, d.row_elements);
        where.offset += row * d.push.begin;
        bytes = row * (d.push.end - d.push.begin);
    }
    const auto [memory, offset, left] = c_.memory.find(where);
    CHECK(bytes <= left);
    const DTypeInfo& type = *dtype_info(info.type);
    const uint64_t rest = offset % c_.device.offset_alignment();
    const auto element = static_cast<uint64_t>(type.block_size == 1 ? type.block_bytes : 1);  // unit of the shift
    const uint64_t unit = std::gcd(static_cast<uint64_t>(type.block_bytes), uint64_t{4});     // alignment that shaders need
    if (rest % unit != 0)
        fail("tensor `%s` lies at byte %zu, which is not a multiple of %zu", printable(info.name).c_str(), where.offset,
             static_cast<size_t>(unit));
    const uint64_t range = (rest + bytes + 3) / 4 * 4;
    if (range > c_.device.info().max_buffer_range)
        fail("a tensor %s of %s is needed, but shaders of %s reach only %s; choose a smaller batch or context",
             info.shape.text().c_str(), human_bytes(static_cast<double>(bytes)).c_str(), c_.device.info().name.c_str(),
             human_bytes(static_cast<double>(c_.device.info().max_buffer_range)).c_str());
    d.push.shift[i] = static_cast<uint8_t>(rest / element);
    if (d.push.shift[i] % 4 == 0) return {memory.buffer, offset - rest, range};
    CHECK(!is_f16_activation(node, d.bound[i]));
    d.constants.vec4 &= ~(1u << i);
    return {memory.buffer, offset - rest, range};
}

VkDescriptorSet Recorder::bind(const Part& part, Dispatch& d) {
    std::array<VkDescriptorBufferInfo, kMaxBindings> places;
    std::array<VkWriteDescriptorSet, kMaxBindings> writes{};
    uint32_t count = 0;
    const auto add = [&](uint32_t binding, const VkDescriptorBufferInfo& where) {
        places[count] = where;
        VkWriteDescriptorSet& write = writes[count];
        write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        write.dstBinding = binding;
        write.descriptorCount = 1;
        write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        write.pBufferInfo = &places[count++];
    };
    add(0, {c_.step.buffer, 0, sizeof(StepValues)});
    for (int i = 0; i < kTensors; ++i)
        if (d.shader->tensors() >> i & 1) add(static_cast<uint32_t>(i + 1), place(part, i, d));
    VkDescriptorSetAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    info.descriptorPool = made_.pool;
    info.descriptorSetCount = 1;
    info.pSetLayouts = &c_.pipelines.get(*d.shader, d.constants).set_layout;
    VkDescriptorSet set = nullptr;
    check(c_.device.vk().vkAllocateDescriptorSets(c_.device.handle(), &info, &set), "preparing a plan");
    for (uint32_t i = 0; i < count; ++i) writes[i].dstSet = set;
    c_.device.vk().vkUpdateDescriptorSets(c_.device.handle(), count, writes.data(), 0, nullptr);
    return set;
}

void Recorder::make_pool(const std::vector<std::vector<Dispatch>>& launches) {
    uint32_t sets = 0;
    for (const auto& list : launches) sets += static_cast<uint32_t>(list.size());
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, sets * kMaxBindings};
    VkDescriptorPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    info.maxSets = sets;
    info.poolSizeCount = 1;
    info.pPoolSizes = &size;
    check(c_.device.vk().vkCreateDescriptorPool(c_.device.handle(), &info, nullptr, &made_.pool), "preparing a plan");
}

// Nodes of a stage may run at the same time, so each has scratch memory of its own. Returns where it begins, by node.
std::vector<uint64_t> Recorder::make_scratch() {
    std::vector<uint64_t> begin(plan_.nodes.size());
    uint64_t end = 0;
    for (const Stage& stage : plan_.stages)
        for (uint64_t at = 0; const int index : stage.nodes) {
            const Node& node = plan_.nodes[static_cast<size_t>(index)];
            const uint64_t bytes = scratch_bytes(node),
                           most = std::min(c_.memory.segment(), c_.device.info().max_buffer_range);
            begin[static_cast<size_t>(index)] = at;
            at += align_scratch(bytes);
            if (bytes > most || at > c_.memory.segment())
                fail("op `%s` needs %s beside its tensors, but %s gives at most %s; choose a smaller batch or context",
                     op_name(node.op), human_bytes(static_cast<double>(bytes > most ? bytes : at)).c_str(),
                     c_.device.info().name.c_str(),
                     human_bytes(static_cast<double>(bytes > most ? most : c_.memory.segment())).c_str());
            end = std::max(end, at);
        }
    if (end > 0) {
        c_.device.check_room(end);
        made_.scratch = c_.device.allocate(end, false);
    }
    return begin;
}

void Recorder::end() { check(c_.device.vk().vkEndCommandBuffer(made_.commands.back()), "preparing a plan"); }

// Begins a new command buffer if `work` more would make this one too long.
void Recorder::begin(double work) {
    if (!made_.commands.empty() && (work_ == 0 || work_ + work <= c_.max_work)) {
        work_ += work;
        return;
    }
    if (!made_.commands.empty()) end();
    made_.commands.push_back(c_.device.new_commands());
    c_.device.begin(made_.commands.back(), 0);
    work_ = work;
}

void Recorder::launch(const Part& part, Dispatch& d) {
    const Functions& vk = c_.device.vk();
    const VkCommandBuffer commands = made_.commands.back();
    if (d.waits) c_.device.barrier(commands);
    const VkDescriptorSet set = bind(part, d);
    const Pipeline& p = c_.pipelines.get(*d.shader, d.constants);
    vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, p.pipeline);
    vk.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, p.layout, 0, 1, &set, 0, nullptr);
    vk.vkCmdPushConstants(commands, p.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(Push), &d.push);
    vk.vkCmdDispatch(commands, d.groups_x, d.groups_y, 1);
}

// Copies small results to host-visible memory, which saves a submission to fetch them.
void Recorder::copy_results() {
    std::vector<bool> written(plan_.tensors.size());
    for (const Node& node : plan_.nodes)
        for (const Tensor t : node.outputs())
            if (t) written[static_cast<size_t>(t.id)] = true;
    uint64_t end = 0;
    for (size_t i = 0; i < plan_.tensors.size(); ++i) {
        const TensorInfo& t = plan_.tensors[i];
        if (!written[i] || t.base >= 0 || t.bytes() > (t.persistent ? kMaxResult : kMaxSmall)) continue;
        if (const Buffer& memory = c_.memory.find(t.where).buffer; memory.host != nullptr && memory.cached) continue;
        made_.results->copies.push_back({t.where, t.bytes(), end});
        end += align_scratch(t.bytes());
    }
    if (end == 0) return;
    made_.results->buffer = c_.device.allocate(end, true);
    for (const auto& [where, bytes, at] : made_.results->copies) {
        const auto [memory, offset, left] = c_.memory.find(where);
        CHECK(bytes <= left);
        const VkBufferCopy copy{offset, at, bytes};
        c_.device.vk().vkCmdCopyBuffer(made_.commands.back(), memory.buffer, made_.results->buffer.buffer, 1, &copy);
    }
    c_.device.barrier(made_.commands.back());
}

void Recorder::run(std::vector<std::vector<Dispatch>> launches) {
    make_pool(launches);
    const std::vector<uint64_t> scratch_at = make_scratch();
    begin(0);
    for (const Stage& stage : plan_.stages) {
        c_.device.barrier(made_.commands.back());
        for (const auto i : stage.nodes) {
            const auto index = static_cast<size_t>(i);
            const Node& node = plan_.nodes[index];
            const VkDescriptorBufferInfo scratch{made_.scratch.buffer, scratch_at[index], scratch_bytes(node)};
            for (Dispatch& d : launches[index]) {
                begin(d.work);
                launch({plan_, node, scratch}, d);
            }
        }
    }
    c_.device.barrier(made_.commands.back());
    copy_results();
    end();
}

}  // namespace

Limits RecordingContext::limits() const {
    const DeviceInfo& info = device.info();
    // A binding may begin up to an alignment before its rows.
    return {std::min(info.max_buffer_range, kMaxPiece) - device.offset_alignment(), max_launch, info.max_group,
            info.shared_memory};
}

Recording::~Recording() {
    for (const VkCommandBuffer c : commands) device.free(c);
    if (!device.hangs()) device.vk().vkDestroyDescriptorPool(device.handle(), pool, nullptr);
    device.release(scratch);
}

const std::byte* Results::find(Location where, uint64_t bytes) const {
    for (const Copy& c : copies)
        if (c.where == where && bytes <= c.bytes) return buffer.host + c.at;
    return nullptr;
}

std::unique_ptr<Recording> record(const Plan& plan, const RecordingContext& context) {
    const Limits limits = context.limits();
    std::vector<std::vector<Dispatch>> launches;
    for (const Node& node : plan.nodes) launches.push_back(dispatches(node, limits));
    return record(plan, std::move(launches), context);
}

std::unique_ptr<Recording> record(const Plan& plan, std::vector<std::vector<Dispatch>> launches,
                                  const RecordingContext& context) {
    auto made = std::make_unique<Recording>(context.device);
    Recorder(plan, context, *made).run(std::move(launches));
    return made;
}

}  // namespace nib::vulkan

#include "vulkan/shaders.h"

#include <iterator>
#include <vector>

namespace nib::vulkan {
namespace {

// SPIR-V for all devices, and for those that sum over subgroups.
struct Code {
    std::span<const uint32_t> all, subgroups;
};

#include "shaders/code.inc"

struct Bindings {
    unsigned tensors = 0, texels = 0;
};

// Of SPIR-V's numbers.
constexpr uint32_t kHeaderWords = 5, kVariable = 59, kDecorate = 71, kBinding = 33, kUniformConstant = 0;

// What the code says of bindings: `OpDecorate id Binding number`, and of those of texels alone later
// `OpVariable type id UniformConstant`.
Bindings bindings_of(std::span<const uint32_t> code) {
    Bindings b;
    uint32_t ids[8] = {};  // of the tensors' variables
    for (size_t at = kHeaderWords; at < code.size(); at += code[at] >> 16) {
        const uint32_t op = code[at] & 0xFFFF;
        if (op == kDecorate && code[at + 2] == kBinding && code[at + 3] > 0) {
            b.tensors |= 1u << (code[at + 3] - 1);
            ids[code[at + 3] - 1] = code[at + 1];
        }
        if (op == kVariable && code[at + 3] == kUniformConstant)
            for (uint32_t i = 0; i < std::size(ids); ++i)
                if (ids[i] == code[at + 2]) b.texels |= 1u << i;
    }
    return b;
}

const Bindings& bindings_of(size_t number) {
    static const std::vector<Bindings> bindings = [] {
        std::vector<Bindings> all;
        for (const Code& code : kCode) all.push_back(bindings_of(code.all));
        return all;
    }();
    return bindings[number];
}

}  // namespace

std::span<const uint32_t> Shader::code(bool subgroup_arithmetic) const {
    const Code& code = kCode[number_];
    return subgroup_arithmetic ? code.subgroups : code.all;
}
unsigned Shader::tensors() const { return bindings_of(number_).tensors; }
unsigned Shader::texels() const { return bindings_of(number_).texels; }

}  // namespace nib::vulkan

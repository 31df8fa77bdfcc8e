#include "vulkan/shaders.h"

#include <iterator>
#include <vector>

namespace nib::vulkan {
namespace {

// SPIR-V for all devices, and for those with subgroup arithmetic.
struct Code {
    std::span<const uint32_t> all, subgroups;
};

#include "shaders/code.inc"

// Found by parsing the code.
struct Module {
    unsigned tensors = 0, constants = 0;
};

// From the SPIR-V specification.
constexpr uint32_t kHeaderWords = 5, kDecorate = 71, kSpecId = 1, kBinding = 33;

// Finds the shader's bindings and constants: `OpDecorate id Binding number`, `OpDecorate id SpecId number`.
Module module_of(const Code& code) {
    Module m;
    for (const auto& words : {code.all, code.subgroups})
        for (size_t at = kHeaderWords; at < words.size(); at += words[at] >> 16) {
            if ((words[at] & 0xFFFF) != kDecorate) continue;
            if (words[at + 2] == kBinding && words[at + 3] > 0) m.tensors |= 1u << (words[at + 3] - 1);
            if (words[at + 2] == kSpecId) m.constants |= 1u << words[at + 3];
        }
    return m;
}

const Module& module_of(size_t number) {
    static const std::vector<Module> modules = [] {
        std::vector<Module> all;
        for (const Code& code : kCode) all.push_back(module_of(code));
        return all;
    }();
    return modules[number];
}

}  // namespace

std::span<const uint32_t> Shader::code(bool subgroup_arithmetic) const {
    const Code& code = kCode[number_];
    return subgroup_arithmetic ? code.subgroups : code.all;
}
unsigned Shader::tensors() const { return module_of(number_).tensors; }
unsigned Shader::constants() const { return module_of(number_).constants; }

}  // namespace nib::vulkan

#include "vulkan/shaders.h"

#include <zlib.h>

#include <vector>

#include "core/error.h"

namespace nib::vulkan {
namespace {

// Of all words: SPIR-V for all devices, and for those with subgroup arithmetic.
struct Part {
    size_t begin, end;
};
struct Code {
    Part all, subgroups;
};

#include "shaders/code.inc"

std::span<const uint32_t> words_of(const Part& part) {
    static const std::vector<uint32_t> all = [] {
        std::vector<uint32_t> words(kWords);
        z_stream stream{};
        stream.next_in = const_cast<unsigned char*>(kPacked);
        stream.avail_in = sizeof kPacked;
        stream.next_out = reinterpret_cast<unsigned char*>(words.data());
        stream.avail_out = kWords * sizeof(uint32_t);
        CHECK(inflateInit2(&stream, MAX_WBITS + 16) == Z_OK);  // as gzip writes it
        const int result = inflate(&stream, Z_FINISH);
        inflateEnd(&stream);
        CHECK(result == Z_STREAM_END && stream.avail_out == 0);
        return words;
    }();
    return std::span(all).subspan(part.begin, part.end - part.begin);
}

// Found by parsing the code.
struct Module {
    unsigned tensors = 0, constants = 0;
};

// From the SPIR-V specification.
constexpr uint32_t kHeaderWords = 5, kDecorate = 71, kSpecId = 1, kBinding = 33;

// Finds the shader's bindings and constants: `OpDecorate id Binding number`, `OpDecorate id SpecId number`.
Module module_of(const Code& code) {
    Module m;
    for (const auto& words : {words_of(code.all), words_of(code.subgroups)})
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
    return words_of(subgroup_arithmetic ? code.subgroups : code.all);
}
unsigned Shader::tensors() const { return module_of(number_).tensors; }
unsigned Shader::constants() const { return module_of(number_).constants; }

}  // namespace nib::vulkan

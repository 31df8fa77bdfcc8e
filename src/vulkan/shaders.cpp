#include "vulkan/shaders.h"

#include <array>
#include <cstring>
#include <iterator>
#include <new>
#include <utility>
#include <vector>

#define ZLIB_CONST
#include <zlib.h>

#include "core/error.h"

namespace nib::vulkan {
namespace {

// A gzip file of all shaders, made by the build (mk/pack_shaders.pl).
constexpr uint8_t kPacked[] = {
#include "shaders/code.inc"
};
constexpr size_t kGzipHeader = 10, kGzipSize = 4;  // bytes; the last ones are the size

// The file's words: for each shader the number of its words and the words themselves, and the same again for its version
// with subgroup arithmetic, which is empty if there is no difference. The file has the lowest bytes of all words first,
// then the second ones and so on.
struct Words {
    std::vector<uint32_t> words;
    size_t at = 0;       // the next byte belongs to this word,
    unsigned shift = 0;  // at this bit

    void add(std::span<const uint8_t> bytes) {
        for (const uint8_t byte : bytes) {
            words[at] |= uint32_t{byte} << shift;
            if (++at < words.size()) continue;
            at = 0;
            shift += 8;
        }
    }
};

std::vector<uint32_t> unpack() {
    uint32_t size = 0;
    std::memcpy(&size, std::end(kPacked) - kGzipSize, sizeof size);
    Words unpacked{std::vector<uint32_t>(size / 4)};
    std::array<uint8_t, 1 << MAX_WBITS> window;
    z_stream stream{};
    stream.next_in = kPacked + kGzipHeader;
    stream.avail_in = sizeof kPacked - kGzipHeader;
    const auto no_more = [](void*, const uint8_t**) { return 0u; };
    const auto add = [](void* to, uint8_t* bytes, unsigned count) {
        static_cast<Words*>(to)->add({bytes, count});
        return 0;
    };
    if (inflateBackInit(&stream, MAX_WBITS, window.data()) != Z_OK) throw std::bad_alloc();
    CHECK(inflateBack(&stream, no_more, nullptr, add, &unpacked) == Z_STREAM_END && unpacked.shift == 32);
    inflateBackEnd(&stream);
    return std::move(unpacked.words);
}

struct Module {
    std::span<const uint32_t> code, subgroups;
    unsigned tensors = 0, constants = 0;
};

// From the SPIR-V specification.
constexpr uint32_t kHeaderWords = 5, kDecorate = 71, kSpecId = 1, kBinding = 33;

// Finds the shader's bindings and constants: `OpDecorate id Binding number`, `OpDecorate id SpecId number`.
Module module_of(std::span<const uint32_t> code, std::span<const uint32_t> subgroups) {
    Module m{code, subgroups.empty() ? code : subgroups};
    for (const auto& words : {m.code, m.subgroups})
        for (size_t at = kHeaderWords; at < words.size(); at += words[at] >> 16) {
            if ((words[at] & 0xFFFF) != kDecorate) continue;
            if (words[at + 2] == kBinding && words[at + 3] > 0) m.tensors |= 1u << (words[at + 3] - 1);
            if (words[at + 2] == kSpecId) m.constants |= 1u << words[at + 3];
        }
    return m;
}

const Module& module_of(size_t number) {
    static const std::vector<uint32_t> words = unpack();
    static const std::vector<Module> modules = [] {
        std::vector<Module> all;
        std::span<const uint32_t> rest = words;
        const auto take = [&] {
            const std::span<const uint32_t> code = rest.subspan(1, rest[0]);
            rest = rest.subspan(1 + rest[0]);
            return code;
        };
        while (!rest.empty()) {
            const std::span<const uint32_t> code = take();
            all.push_back(module_of(code, take()));
        }
        return all;
    }();
    return modules[number];
}

}  // namespace

std::span<const uint32_t> Shader::code(bool subgroup_arithmetic) const {
    const Module& m = module_of(number_);
    return subgroup_arithmetic ? m.subgroups : m.code;
}
unsigned Shader::tensors() const { return module_of(number_).tensors; }
unsigned Shader::constants() const { return module_of(number_).constants; }

}  // namespace nib::vulkan

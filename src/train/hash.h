// A quick 64-bit checksum, not against malice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/error.h"

namespace nib {

class Hash64 {
public:
    /// Adds whole 32-bit words; how they are cut into calls makes no difference.
    void add(std::span<const std::byte> bytes) {
        CHECK(bytes.size() % 4 == 0);
        for (size_t i = 0; i < bytes.size(); i += 4) {
            uint32_t word;
            std::memcpy(&word, bytes.data() + i, 4);
            value_ = (value_ ^ word) * 0x9E3779B97F4A7C15u;
            value_ ^= value_ >> 29;
        }
    }
    uint64_t value() const { return value_; }

private:
    uint64_t value_ = 0x6E69622D6E69622Du;
};

}  // namespace nib

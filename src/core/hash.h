// A fast 64-bit checksum, not cryptographic.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/error.h"

namespace nib {

class Hash64 {
public:
    /// Adds whole 32-bit words; how they are divided into calls makes no difference.
    void add(std::span<const std::byte> bytes) {
        if (bytes.size() % 4 != 0) fail("%zu bytes are no whole number of words", bytes.size());
        const std::byte *next = bytes.data(), *const end = next + bytes.size();
        while (next < end && words_ % kLanes != 0) add_word(next);
        std::array<uint64_t, kLanes> lanes = lanes_;  // in registers
        for (; end - next >= 4 * kLanes; words_ += kLanes) {
#pragma GCC unroll 8
            for (uint64_t& lane : lanes) mix(lane, next);
        }
        lanes_ = lanes;
        while (next < end) add_word(next);
    }
    uint64_t value() const {
        uint64_t all = words_;
        for (const uint64_t lane : lanes_) all = mixed(all, lane);
        return all;
    }

private:
    static constexpr int kLanes = 8;  // the words take turns in these chains of multiplications, which overlap

    static uint64_t mixed(uint64_t hash, uint64_t value) {
        hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
        return hash ^ hash >> 29;
    }
    static void mix(uint64_t& lane, const std::byte*& next) {
        uint32_t word;
        std::memcpy(&word, next, 4);
        lane = mixed(lane, word);
        next += 4;
    }
    void add_word(const std::byte*& next) { mix(lanes_[words_++ % kLanes], next); }

    uint64_t words_ = 0;
    std::array<uint64_t, kLanes> lanes_ = {1, 2, 3, 4, 5, 6, 7, 8};
};

}  // namespace nib

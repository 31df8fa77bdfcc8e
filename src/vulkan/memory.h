// The buffers of plans. A buffer may be several allocations of the device, which limits their size.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include "core/backend.h"
#include "vulkan/transfers.h"

namespace nib::vulkan {

class Memory {
public:
    Memory(Device& device, Transfers& transfers) : device_(device), transfers_(transfers) {}
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    /// These are as in Backend.
    size_t segment() const;
    int map_weights(std::span<const std::byte> bytes, std::span<const size_t> cuts);
    int allocate(size_t bytes);
    void release(int buffer);
    void upload(Location to, std::span<const std::byte> bytes) const;
    void download(Location from, std::span<std::byte> bytes) const;
    void copy(std::span<const Copy> copies) const;

    struct Place {
        const Buffer& buffer;
        uint64_t offset, left;  // in `buffer`; bytes from there to its end
    };
    Place find(Location where) const;

private:
    using Segments = std::map<uint64_t, Buffer>;  // by offset

    template <class Fill>
    int make(const Fill& fill);
    template <class Bytes, class Visit>
    void by_segment(Location where, Bytes bytes, const Visit& visit) const;

    Device& device_;
    Transfers& transfers_;
    std::vector<Segments> buffers_;
};

}  // namespace nib::vulkan

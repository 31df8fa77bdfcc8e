#include "vulkan/memory.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"

namespace nib::vulkan {
namespace {

constexpr uint64_t kPage = 4096;  // drivers round sizes up to at least this

}  // namespace

Memory::~Memory() {
    for (Segments& segments : buffers_)
        for (auto& [begin, buffer] : segments) device_.release(buffer);
}

size_t Memory::segment() const {
    const uint64_t most = std::min(device_.info().max_allocation, device_.info().memory);
    return std::max(most - most % kPage, kPage);
}

// A new buffer of the segments that fill() allocates. After an error nothing stays allocated.
template <class Fill>
int Memory::make(const Fill& fill) {
    const int buffer = static_cast<int>(buffers_.size());
    try {
        fill(buffers_.emplace_back());
    } catch (...) {
        release(buffer);
        throw;
    }
    return buffer;
}

int Memory::allocate(size_t bytes) {
    device_.check_room(bytes);
    return make([&](Segments& segments) {
        for (size_t begin = 0; begin == 0 || begin < bytes; begin += segment()) {
            segments[begin] = device_.allocate(std::min(bytes - begin, segment()), false);
            transfers_.clear(segments[begin]);
        }
    });
}

int Memory::map_weights(std::span<const std::byte> bytes, std::span<const size_t> cuts) {
    device_.check_room(bytes.size());
    return make([&](Segments& segments) {
        for (size_t begin = 0, end = 0; begin < bytes.size(); begin = end) {
            end = bytes.size();
            if (end - begin > segment()) {  // at the last cut that makes it small enough
                const auto after = std::upper_bound(cuts.begin(), cuts.end(), begin + segment());
                end = after == cuts.begin() ? 0 : *std::prev(after);
                if (end <= begin)
                    fail(
                        "one of the weights needs more than the %s of memory that %s gives at once; choose a smaller model",
                        human_bytes(static_cast<double>(segment())).c_str(), device_.info().name.c_str());
            }
            segments[begin] = device_.allocate(end - begin, false);
            transfers_.upload(segments[begin], 0, bytes.subspan(begin, end - begin));
        }
    });
}

void Memory::release(int buffer) {
    try {
        transfers_.finish();  // uploads, perhaps into this buffer
    } catch (const Error&) {
        // The next computation reports that the device is lost.
    }
    Segments& segments = buffers_[static_cast<size_t>(buffer)];
    for (auto& [begin, memory] : segments) device_.release(memory);
    segments.clear();
}

Memory::Place Memory::find(Location where) const {
    const Segments& segments = buffers_[static_cast<size_t>(where.buffer)];
    const auto next = segments.upper_bound(where.offset);
    CHECK(next != segments.begin());
    const auto& [begin, buffer] = *std::prev(next);
    const uint64_t offset = where.offset - begin, end = next == segments.end() ? buffer.bytes : next->first - begin;
    CHECK(offset <= end);
    return {buffer, offset, end - offset};
}

// Calls visit(place, part of bytes) for each segment that `bytes` at `where` reach into.
template <class Bytes, class Visit>
void Memory::by_segment(Location where, Bytes bytes, const Visit& visit) const {
    while (!bytes.empty()) {
        const Place place = find(where);
        const size_t count = std::min<uint64_t>(bytes.size(), place.left);
        CHECK(count > 0);
        visit(place, bytes.first(count));
        where.offset += count;
        bytes = bytes.subspan(count);
    }
}

void Memory::upload(Location to, std::span<const std::byte> bytes) const {
    by_segment(to, bytes, [&](const Place& at, auto part) { transfers_.upload(at.buffer, at.offset, part); });
}

void Memory::download(Location from, std::span<std::byte> bytes) const {
    by_segment(from, bytes, [&](const Place& at, auto part) { transfers_.download(at.buffer, at.offset, part); });
}

void Memory::copy(std::span<const Copy> copies) const {
    for (const Copy& c : copies) {
        const Place from = find(c.from), to = find(c.to);
        CHECK(c.bytes <= from.left && c.bytes <= to.left);
        transfers_.copy(from.buffer, from.offset, to.buffer, to.offset, c.bytes);
    }
    transfers_.finish();
}

}  // namespace nib::vulkan

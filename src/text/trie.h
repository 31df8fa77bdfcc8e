// A prefix tree of bytes: which keys of a vocabulary a text goes on with.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace nib {

class Trie {
public:
    static constexpr uint32_t kRoot = 0;
    static constexpr uint32_t kNone = UINT32_MAX;

    /// Keys and their values, which are not negative. Takes time and memory in proportion to the bytes of all keys, but for
    /// sorting them. Error for two keys that are alike, and when all have 4 GiB or more.
    explicit Trie(std::vector<std::pair<std::string_view, int32_t>> entries);

    /// The node that a byte leads to; kNone if no key goes on with it.
    uint32_t child(uint32_t node, char byte) const {
        if (node == kRoot) return root_[static_cast<unsigned char>(byte)];
        const uint32_t first = nodes_[node].first, count = nodes_[node + 1].first - first;
        const char* const labels = labels_.data() + first;
        if (count > kFew) {
            const void* const found = std::memchr(labels, byte, count);
            return found == nullptr ? kNone : first + static_cast<uint32_t>(static_cast<const char*>(found) - labels);
        }
        for (uint32_t i = 0; i < count; ++i)
            if (labels[i] == byte) return first + i;
        return kNone;
    }

    /// The value of the key that ends at this node; -1 for none.
    int32_t value(uint32_t node) const { return nodes_[node].value; }

private:
    static constexpr uint32_t kFew = 8;  // children to look at one by one

    struct Node {
        uint32_t first;  // of its children, which lie together; the next node's come after them
        int32_t value;
    };

    std::vector<Node> nodes_;   // level by level, and one more
    std::vector<char> labels_;  // the byte that leads to each
    std::array<uint32_t, 256> root_;
};

}  // namespace nib

#include "text/trie.h"

#include <algorithm>
#include <cstddef>

#include "core/error.h"

namespace nib {

Trie::Trie(std::vector<std::pair<std::string_view, int32_t>> entries) {
    size_t bytes = 0;
    for (const auto& [key, value] : entries) bytes += key.size();
    if (bytes >= kNone - 1) fail("the vocabulary is too large");
    std::sort(entries.begin(), entries.end());
    const auto twice =
        std::adjacent_find(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
    if (twice != entries.end())
        fail("the vocabulary is damaged: \"%s\" is in it twice", printable(twice->first, 60).c_str());
    struct Range {  // of the entries below a node, which have its key in common
        size_t begin, end;
    };
    std::vector<Range> level = {
        {0, entries.size()}
    };
    nodes_.push_back({1, -1});
    labels_.push_back('\0');
    for (size_t depth = 0, done = 0; !level.empty(); ++depth) {
        std::vector<Range> next;
        for (auto [begin, end] : level) {
            Node& node = nodes_[done++];
            node.first = static_cast<uint32_t>(labels_.size());
            if (begin < end && entries[begin].first.size() == depth) node.value = entries[begin++].second;
            while (begin < end) {
                const char byte = entries[begin].first[depth];
                size_t after = begin;
                while (after < end && entries[after].first[depth] == byte) ++after;
                labels_.push_back(byte);
                next.push_back({begin, after});
                begin = after;
            }
        }
        nodes_.resize(labels_.size(), {0, -1});
        level = std::move(next);
    }
    nodes_.push_back({static_cast<uint32_t>(labels_.size()), -1});
    root_.fill(kNone);
    for (uint32_t child = nodes_[kRoot].first; child < nodes_[kRoot + 1].first; ++child)
        root_[static_cast<unsigned char>(labels_[child])] = child;
}

}  // namespace nib

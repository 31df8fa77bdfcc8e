// A compiled graph: nodes in order, grouped into stages, every intermediate at an offset of one arena.
#pragma once

#include <memory>
#include <vector>

#include "core/backend.h"
#include "core/graph.h"
#include "core/index_rules.h"

namespace nib {

/// Nodes between two barriers. Either each worker takes whole sequences through all of the nodes, so that activations stay
/// in its cache, or the nodes are independent and the workers divide their units.
struct Stage {
    int64_t sequences = 0;  // > 0: by sequence
    std::vector<int> nodes;
};

/// Memory for intermediates, released by the destructor. Plans that never run at the same time and keep nothing between
/// runs may share one.
class Arena {
public:
    Arena(Backend& backend, size_t bytes) : backend_(backend), buffer_(backend.allocate(bytes)), bytes_(bytes) {}
    ~Arena() { backend_.release(buffer_); }
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    int buffer() const { return buffer_; }
    size_t bytes() const { return bytes_; }

private:
    Backend& backend_;
    const int buffer_;
    const size_t bytes_;
};

struct Plan {
    Backend* backend = nullptr;
    std::vector<TensorInfo> tensors;
    std::vector<Node> nodes;
    std::vector<Stage> stages;
    std::vector<IndexRule> index_rules;
    std::shared_ptr<const Arena> arena;
    size_t arena_bytes = 0;
    std::unique_ptr<Executable> executable;

    /// Error for a tensor of another graph.
    const TensorInfo& info(Tensor t) const;
    Location locate(Tensor t) const { return info(t).where; }
    void run(const Step& step) const { backend->run(*this, step); }
    /// Fills an input. Error unless there is a value for each of its elements and, of indices, each is within what it
    /// counts; that of rows not in use, too.
    template <class T>
    void set(Tensor t, std::span<const T> values) const {
        set_bytes(t, std::as_bytes(values));
    }
    /// Reads the first values of an input or output. Error if it has fewer.
    template <class T>
    void get(Tensor t, std::span<T> values) const {
        get_bytes(t, std::as_writable_bytes(values));
    }
    void set_bytes(Tensor t, std::span<const std::byte> bytes) const;
    void get_bytes(Tensor t, std::span<std::byte> bytes) const;
    /// For people, one line per node: stage, op, outputs and inputs with types, shapes, places and lifetimes.
    std::string text() const;
    /// The line of one node, without places.
    std::string text(const Node& node) const;
};

/// Orders a graph's nodes into stages, as the backend divides its work. No tensor has a place in the arena yet.
Plan schedule(const Graph& graph, const Backend& backend);
/// Gives every intermediate of a scheduled plan its offset in an arena, and plan.arena_bytes. No tensor crosses a multiple
/// of `segment`.
void place(Plan& plan, size_t segment);
/// Bytes of arena that compile() would need; nothing is allocated.
size_t arena_bytes(const Graph& graph, const Backend& backend);

/// Schedules, places and prepares, in an arena of its own unless one is given. Throws Error if the backend lacks an op or
/// memory, or the given arena is too small, before anything has run. In a shared arena, inputs must be set before every
/// run.
Plan compile(Graph graph, Backend& backend, std::shared_ptr<const Arena> arena = {});

}  // namespace nib

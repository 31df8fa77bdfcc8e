#include "core/plan.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <unordered_map>
#include <utility>

#include "core/align.h"
#include "core/ranges.h"

namespace nib {
namespace {

// About one transformer block: enough for locality, and few enough for memory to be reused.
constexpr size_t kMaxStageNodes = 12;

int base_of(const Plan& plan, Tensor t) {
    const int base = plan.tensors[static_cast<size_t>(t.id)].base;
    return base >= 0 ? base : t.id;
}

// The tensors that the nodes of a stage read and write.
class Uses {
public:
    // Whether `node` must wait for them: it reads what one writes, or writes what one reads or writes.
    bool conflicts_with(const Plan& plan, const Node& node) const {
        const auto overlaps = [&](const ByTensor& used, Tensor t) {
            if (!t) return false;
            const auto found = used.find(base_of(plan, t));
            const TensorInfo& info = plan.tensors[static_cast<size_t>(t.id)];
            return found != used.end() &&
                   found->second.end_of_overlap(info.view_offset, info.view_offset + info.bytes()) > 0;
        };
        const auto in = node.inputs(), out = node.outputs();
        return std::any_of(in.begin(), in.end(), [&](Tensor t) { return overlaps(written_, t); }) ||
               std::any_of(out.begin(), out.end(), [&](Tensor t) { return overlaps(written_, t) || overlaps(read_, t); });
    }

    void add(const Plan& plan, const Node& node) {
        const auto use = [&](ByTensor& used, Tensor t) {
            if (!t) return;
            const TensorInfo& info = plan.tensors[static_cast<size_t>(t.id)];
            used[base_of(plan, t)].add(info.view_offset, info.view_offset + info.bytes());
        };
        for (const Tensor t : node.inputs()) use(read_, t);
        for (const Tensor t : node.outputs()) use(written_, t);
    }

private:
    using ByTensor = std::unordered_map<int, Ranges>;  // by base
    ByTensor read_, written_;
};

bool divides_by_columns(Op op) {
    const Units units = op_info(op).units;
    return units == Units::RowsOrOutputs || units == Units::RowsOrColumns;
}

class Scheduler {
public:
    Scheduler(Plan& plan, const Division& division) : plan_(plan), division_(division) {}

    void run() {
        for (size_t i = 0; i < plan_.nodes.size(); ++i) place(static_cast<int>(i));
        flush();
    }

private:
    // Gradients of weights wait until their stage of sequences is complete: they need all sequences, nothing needs them.
    void place(int index) {
        Node& node = plan_.nodes[static_cast<size_t>(index)];
        if (op_units_per_sequence(node.op, node.p) > 0 && division_.by_sequence(node)) {
            if (node.new_stage || sequences_.sequences != node.p.B || sequences_.nodes.size() >= kMaxStageNodes) flush();
            sequences_.sequences = node.p.B;
            sequences_.nodes.push_back(index);
            return;
        }
        if (op_is_weight_gradient(node.op) && sequences_.sequences > 0) {
            waiting_.push_back(index);
            return;
        }
        flush();
        if (divides_by_columns(node.op)) node.p.by_columns = division_.by_columns(node);
        share_out(index);
    }

    void flush() {
        if (!sequences_.nodes.empty()) plan_.stages.push_back(std::move(sequences_));
        sequences_ = {};
        for (const int index : waiting_) share_out(index);
        waiting_.clear();
    }

    // Into the last stage of independent nodes, or a new one if it depends on a node there.
    void share_out(int index) {
        const Node& node = plan_.nodes[static_cast<size_t>(index)];
        const bool join = !node.new_stage && !plan_.stages.empty() && plan_.stages.back().sequences == 0 &&
                          !uses_.conflicts_with(plan_, node);
        if (!join) {
            plan_.stages.emplace_back();
            uses_ = {};
        }
        plan_.stages.back().nodes.push_back(index);
        uses_.add(plan_, node);
    }

    Plan& plan_;
    const Division& division_;
    Stage sequences_;
    std::vector<int> waiting_;
    Uses uses_;  // of the last stage, if its nodes are independent
};

struct Lifetime {
    int first = -1, last = -1;  // stages
};

std::vector<Lifetime> lifetimes(const Plan& plan) {
    std::vector<Lifetime> lives(plan.tensors.size());
    const int end = static_cast<int>(plan.stages.size());
    for (int s = 0; s < end; ++s)
        for (const int index : plan.stages[static_cast<size_t>(s)].nodes) {
            const Node& node = plan.nodes[static_cast<size_t>(index)];
            const auto touch = [&](Tensor t) {
                if (!t) return;
                Lifetime& life = lives[static_cast<size_t>(base_of(plan, t))];
                if (life.first < 0) life.first = s;
                life.last = s;
            };
            std::for_each(node.operands.begin(), node.operands.end(), touch);
        }
    for (size_t i = 0; i < lives.size(); ++i)
        if (plan.tensors[i].persistent) lives[i] = {0, end};
    return lives;
}

// Which bytes of the arena are in use when: a segment tree over the stages, so that the cost of a query grows only with the
// logarithm of their number.
class Occupancy {
public:
    explicit Occupancy(int stages) : leaves_(std::bit_ceil(static_cast<size_t>(stages))) {
        throughout_.resize(2 * leaves_);
        within_.resize(2 * leaves_);
    }

    // The lowest offset at which `bytes` of one segment are free during all of `life`.
    size_t lowest(const Lifetime& life, size_t bytes, size_t segment, const std::string& name) {
        std::vector<const Ranges*> taken;
        pieces(life, [&](size_t node) { taken.insert(taken.end(), {&throughout_[node], &within_[node]}); });
        ends(life, [&](size_t node) { taken.push_back(&throughout_[node]); });
        size_t at = 0;
        for (size_t i = 0, free = 0; free < taken.size(); i = (i + 1) % taken.size()) {
            const size_t end = taken[i]->end_of_overlap(at, at + bytes);
            free = end > 0 ? 0 : free + 1;
            at = fit_segment(std::max(at, end), bytes, segment, name);
        }
        return at;
    }

    void take(const Lifetime& life, size_t begin, size_t end) {
        pieces(life, [&](size_t node) { throughout_[node].add(begin, end); });
        ends(life, [&](size_t node) { within_[node].add(begin, end); });
    }

private:
    // Visits the fewest tree nodes that together cover a lifetime.
    template <class Visit>
    void pieces(const Lifetime& life, const Visit& visit) const {
        size_t first = leaves_ + static_cast<size_t>(life.first), end = leaves_ + static_cast<size_t>(life.last) + 1;
        for (; first < end; first /= 2, end /= 2) {
            if (first % 2 == 1) visit(first++);
            if (end % 2 == 1) visit(--end);
        }
    }

    // Visits the tree nodes in whose time a lifetime begins or ends.
    template <class Visit>
    void ends(const Lifetime& life, const Visit& visit) const {
        size_t first = leaves_ + static_cast<size_t>(life.first), last = leaves_ + static_cast<size_t>(life.last);
        for (; first != last; first /= 2, last /= 2) visit(first), visit(last);
        for (; first > 0; first /= 2) visit(first);
    }

    size_t leaves_;
    // By tree node: 1 is the root, 2 n and 2 n + 1 are the children of n. throughout_: bytes of lifetimes that cover the
    // node (it is one of their pieces). within_: bytes of lifetimes that begin or end in it.
    std::vector<Ranges> throughout_, within_;
};

}  // namespace

Plan schedule(const Graph& graph, const Backend& backend) {
    Plan plan;
    plan.tensors = graph.tensors();
    plan.nodes = graph.nodes();
    plan.index_rules = index_rules(plan.tensors, plan.nodes);
    Scheduler(plan, backend.division()).run();
    return plan;
}

// First fit by decreasing size: each intermediate gets the lowest offset that is free throughout its lifetime.
void place(Plan& plan, size_t segment) {
    const std::vector<Lifetime> lives = lifetimes(plan);
    std::vector<int> order;
    for (size_t i = 0; i < plan.tensors.size(); ++i)
        if (plan.tensors[i].base < 0 && plan.tensors[i].where.buffer < 0 && lives[i].first >= 0)
            order.push_back(static_cast<int>(i));
    const auto bytes = [&](int i) { return align_up(plan.tensors[static_cast<size_t>(i)].bytes()); };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return bytes(a) > bytes(b); });
    Occupancy occupancy(static_cast<int>(plan.stages.size()) + 1);  // persistent tensors outlive the last stage
    plan.arena_bytes = 0;
    for (const int i : order) {
        const Lifetime& life = lives[static_cast<size_t>(i)];
        const std::string& name = plan.tensors[static_cast<size_t>(i)].name;
        const size_t at = occupancy.lowest(life, bytes(i), segment, name), end = at + bytes(i);
        occupancy.take(life, at, end);
        plan.tensors[static_cast<size_t>(i)].where.offset = at;
        plan.arena_bytes = std::max(plan.arena_bytes, end);
    }
}

size_t arena_bytes(const Graph& graph, const Backend& backend) {
    Plan plan = schedule(graph, backend);
    place(plan, backend.segment());
    return plan.arena_bytes;
}

Plan compile(Graph graph, Backend& backend, std::shared_ptr<const Arena> arena) {
    Plan plan = schedule(graph, backend);
    place(plan, backend.segment());
    for (const Node& node : plan.nodes)
        if (!backend.supports(node))
            fail("%s cannot run op `%s`%s%s", backend.name().c_str(), op_name(node.op),
                 node.p.D > 0 ? strprintf(" of %lld heads of size %lld", static_cast<long long>(node.p.H),
                                          static_cast<long long>(node.p.D))
                                    .c_str()
                              : "",
                 node.has_f16_activation() ? " on activations of f16; keep them as f32" : ", which this model needs");
    plan.backend = &backend;
    plan.arena = arena ? std::move(arena) : std::make_shared<const Arena>(backend, plan.arena_bytes);
    if (plan.arena->bytes() < plan.arena_bytes)
        fail("an arena of %zu bytes is too small for a plan of %zu", plan.arena->bytes(), plan.arena_bytes);
    for (TensorInfo& t : plan.tensors)
        if (t.base < 0 && t.where.buffer < 0) t.where.buffer = plan.arena->buffer();
    for (TensorInfo& t : plan.tensors)
        if (t.base >= 0) {
            t.where = plan.tensors[static_cast<size_t>(t.base)].where;
            t.where.offset += t.view_offset;
        }
    backend.prepare(plan);
    return plan;
}

const TensorInfo& Plan::info(Tensor t) const {
    if (!t || t.id >= static_cast<int>(tensors.size())) fail("a tensor is missing, or of another graph than the plan");
    return tensors[static_cast<size_t>(t.id)];
}

void Plan::set_bytes(Tensor t, std::span<const std::byte> bytes) const {
    if (bytes.size() != info(t).bytes())
        fail("input `%s` takes %zu bytes, not %zu", info(t).name.c_str(), info(t).bytes(), bytes.size());
    for (const IndexRule& rule : index_rules)
        if (rule.tensor == t)
            check_indices(rule, info(t), {reinterpret_cast<const int32_t*>(bytes.data()), bytes.size() / sizeof(int32_t)});
    backend->upload(locate(t), bytes);
}

void Plan::get_bytes(Tensor t, std::span<std::byte> bytes) const {
    if (bytes.size() > info(t).bytes()) fail("a tensor has %zu bytes, not %zu", info(t).bytes(), bytes.size());
    backend->download(locate(t), bytes);
}

// ---- text ------------------------------------------------------------------------------------------------------------

namespace {

struct NodeText {
    std::string outputs, inputs;
};

// `place` returns what to append to a tensor.
NodeText node_text(const Plan& plan, const Node& node, const std::function<std::string(Tensor, bool output)>& place) {
    // "%7 f32(64,192)", or with the name of a weight or input; a view also has the byte at which it begins.
    const auto describe = [&](Tensor t) {
        const TensorInfo& info = plan.tensors[static_cast<size_t>(t.id)];
        const int base = base_of(plan, t);
        const std::string& name = plan.tensors[static_cast<size_t>(base)].name;
        return (name.empty() ? "%" + std::to_string(base) : name) +
               (info.view_offset > 0 ? "+" + std::to_string(info.view_offset) : "") + " " + dtype_info(info.type)->name +
               info.shape.text();
    };
    NodeText text;
    const auto append = [](std::string& list, const std::string& item) { list += (list.empty() ? "" : ", ") + item; };
    for (size_t i = 0; i < kMaxOut; ++i)
        if (const Tensor t = node.outputs()[i])
            append(text.outputs, (node.accumulate >> i & 1 ? "+=" : "") + describe(t) + place(t, true));
    for (const Tensor t : node.inputs())
        if (t) append(text.inputs, describe(t) + place(t, false));
    return text;
}

}  // namespace

std::string Plan::text(const Node& node) const {
    const NodeText text = node_text(*this, node, [](Tensor, bool) { return ""; });
    return std::string(op_name(node.op)) + " " + text.outputs + " <- " + text.inputs;
}

std::string Plan::text() const {
    constexpr size_t kWidth = 84;  // of the outputs; a few are longer
    const std::vector<Lifetime> lives = lifetimes(*this);
    // Outputs show their place and lifetime; so do the plan's inputs, which no node writes.
    const auto place = [&](Tensor t, bool output) -> std::string {
        const TensorInfo &info = tensors[static_cast<size_t>(t.id)],
                         &base = tensors[static_cast<size_t>(base_of(*this, t))];
        if (info.where.buffer != arena->buffer() || !(output || !base.name.empty())) return "";
        const Lifetime life = lives[static_cast<size_t>(base_of(*this, t))];
        return strprintf("@%zu", info.where.offset) +
               (base.persistent ? "[persistent]" : strprintf("[%d-%d]", life.first, life.last));
    };
    std::vector<NodeText> texts;
    size_t width = 0, name_width = 0;
    for (const Node& node : nodes) {
        texts.push_back(node_text(*this, node, place));
        if (const size_t length = texts.back().outputs.size(); length <= kWidth) width = std::max(width, length);
        name_width = std::max(name_width, std::strlen(op_name(node.op)));
    }
    const auto count = [](size_t n, const char* what) { return counted(static_cast<int64_t>(n), what); };
    std::string out = "# " + count(nodes.size(), "node") + " in " + count(stages.size(), "stage") + ", arena of " +
                      human_bytes(static_cast<double>(arena_bytes)) + "\n";
    for (size_t s = 0; s < stages.size(); ++s)
        for (const int index : stages[s].nodes) {
            const NodeText& text = texts[static_cast<size_t>(index)];
            out += strprintf("%3zu%c %-*s  %-*s <- ", s, stages[s].sequences > 0 ? 's' : ' ', static_cast<int>(name_width),
                             op_name(nodes[static_cast<size_t>(index)].op), static_cast<int>(width), text.outputs.c_str()) +
                   text.inputs + "\n";
        }
    return out;
}

}  // namespace nib

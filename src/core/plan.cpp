#include "core/plan.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "core/ops.h"

namespace nib {
namespace {

constexpr size_t kAlign = 64;
constexpr int64_t kMinSequence = 16;  // shorter sequences are not worth reading all weights for
constexpr size_t kMaxStageNodes =
    12;  // about one block of a transformer: enough for locality, short enough to reuse memory

bool by_sequence(const Node& node, int workers) {
    // Few sequences would leave workers idle at the end of a stage. Few rows are summed in another order by columns, so for
    // them it must not depend on the number of workers which way is taken.
    return workers > 0 && node.p.T >= kMinSequence && node.p.B * node.p.T > kFewRows &&
           op_units_per_sequence(node.op, node.p) > 0 && node.p.B >= 4 * workers;
}

// Linear layers outside by-sequence stages: output columns are shared out when there are few rows for each worker, since
// then every weight is read by one worker only.
bool by_columns(const Node& node, int workers) { return node.p.B * node.p.T <= 512 * std::max(1, workers) || workers == 0; }

int base_of(const Plan& plan, Tensor t) {
    const int base = plan.tensors[static_cast<size_t>(t.id)].base;
    return base >= 0 ? base : t.id;
}

bool shares(const Plan& plan, Tensor a, Tensor b) {
    if (!a || !b || base_of(plan, a) != base_of(plan, b)) return false;
    const TensorInfo &x = plan.tensors[static_cast<size_t>(a.id)], &y = plan.tensors[static_cast<size_t>(b.id)];
    return x.view_offset < y.view_offset + y.bytes() && y.view_offset < x.view_offset + x.bytes();
}

// Whether `later` must wait for `earlier`: it reads what that writes, or writes what that reads or writes.
bool depends(const Plan& plan, const Node& later, const Node& earlier) {
    for (const Tensor written : earlier.out) {
        for (const Tensor t : later.in)
            if (shares(plan, t, written)) return true;
        for (const Tensor t : later.out)
            if (shares(plan, t, written)) return true;
    }
    for (const Tensor t : later.out)
        for (const Tensor read : earlier.in)
            if (shares(plan, t, read)) return true;
    return false;
}

class Scheduler {
public:
    Scheduler(Plan& plan, int workers) : plan_(plan), workers_(workers) {}

    void run() {
        for (size_t i = 0; i < plan_.nodes.size(); ++i) place(static_cast<int>(i));
        flush();
    }

private:
    // Gradients of weights wait until their stage of sequences is complete: they need all sequences, nothing needs them.
    void place(int index) {
        Node& node = plan_.nodes[static_cast<size_t>(index)];
        if (by_sequence(node, workers_)) {
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
        if (node.op == Op::Linear || node.op == Op::LinearBackward) node.p.by_columns = by_columns(node, workers_);
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
                          std::none_of(plan_.stages.back().nodes.begin(), plan_.stages.back().nodes.end(), [&](int other) {
                              return depends(plan_, node, plan_.nodes[static_cast<size_t>(other)]);
                          });
        if (!join) plan_.stages.emplace_back();
        plan_.stages.back().nodes.push_back(index);
    }

    Plan& plan_;
    int workers_;
    Stage sequences_;
    std::vector<int> waiting_;
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
            std::for_each(node.in.begin(), node.in.end(), touch);
            std::for_each(node.out.begin(), node.out.end(), touch);
        }
    for (size_t i = 0; i < lives.size(); ++i)
        if (plan.tensors[i].kept) lives[i] = {0, end};
    return lives;
}

// Gives each intermediate the lowest offset that is free during its life, large ones first. Returns the arena's size.
size_t place_tensors(Plan& plan) {
    const std::vector<Lifetime> lives = lifetimes(plan);
    std::vector<int> order;
    for (size_t i = 0; i < plan.tensors.size(); ++i)
        if (plan.tensors[i].base < 0 && plan.tensors[i].where.buffer < 0 && lives[i].first >= 0)
            order.push_back(static_cast<int>(i));
    const auto bytes = [&](int i) { return (plan.tensors[static_cast<size_t>(i)].bytes() + kAlign - 1) / kAlign * kAlign; };
    const auto offset = [&](int i) -> size_t& { return plan.tensors[static_cast<size_t>(i)].where.offset; };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return bytes(a) > bytes(b); });
    std::vector<int> placed;  // by offset
    size_t size = 0;
    for (const int i : order) {
        const Lifetime life = lives[static_cast<size_t>(i)];
        size_t at = 0;
        for (const int other : placed) {
            const Lifetime theirs = lives[static_cast<size_t>(other)];
            if (theirs.last < life.first || life.last < theirs.first) continue;
            if (at + bytes(i) <= offset(other)) break;
            at = std::max(at, offset(other) + bytes(other));
        }
        offset(i) = at;
        size = std::max(size, at + bytes(i));
        placed.insert(
            std::upper_bound(placed.begin(), placed.end(), i, [&](int a, int b) { return offset(a) < offset(b); }), i);
    }
    return size;
}

Plan schedule(const Graph& graph, int workers) {
    Plan plan;
    plan.tensors = graph.tensors();
    plan.nodes = graph.nodes();
    Scheduler(plan, workers).run();
    plan.arena_bytes = place_tensors(plan);
    return plan;
}

}  // namespace

size_t arena_bytes(const Graph& graph, int workers) { return schedule(graph, workers).arena_bytes; }

Plan compile(Graph graph, Backend& backend, std::shared_ptr<const Arena> arena) {
    Plan plan = schedule(graph, backend.workers());
    for (const Node& node : plan.nodes)
        if (!backend.supports(node))
            fail("%s cannot run op `%s`; choose another --device", backend.name().c_str(), op_name(node.op));
    plan.backend = &backend;
    plan.arena = arena ? std::move(arena) : std::make_shared<const Arena>(backend, plan.arena_bytes);
    CHECK(plan.arena->bytes() >= plan.arena_bytes);
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

// ---- text ------------------------------------------------------------------------------------------------------------

namespace {

struct NodeText {
    std::string outputs, inputs;
};

// `place` is what to add to a tensor.
NodeText node_text(const Plan& plan, const Node& node, const std::function<std::string(Tensor, bool output)>& place) {
    // "%7 f32(64,192)", or the name of a weight or input; of a part of a tensor also the byte at which it begins.
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
    for (size_t i = 0; i < node.out.size(); ++i)
        if (const Tensor t = node.out[i])
            append(text.outputs, (node.accumulate >> i & 1 ? "+=" : "") + describe(t) + place(t, true));
    for (const Tensor t : node.in)
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
    // Results say where they lie and how long; so do the inputs of the plan, which are nobody's results.
    const auto place = [&](Tensor t, bool output) -> std::string {
        const TensorInfo &info = tensors[static_cast<size_t>(t.id)],
                         &base = tensors[static_cast<size_t>(base_of(*this, t))];
        if (info.where.buffer != arena->buffer() || !(output || !base.name.empty())) return "";
        const Lifetime life = lives[static_cast<size_t>(base_of(*this, t))];
        return strprintf("@%zu", info.where.offset) + (base.kept ? "[kept]" : strprintf("[%d-%d]", life.first, life.last));
    };
    std::vector<NodeText> texts;
    size_t width = 0, name_width = 0;
    for (const Node& node : nodes) {
        texts.push_back(node_text(*this, node, place));
        if (const size_t length = texts.back().outputs.size(); length <= kWidth) width = std::max(width, length);
        name_width = std::max(name_width, std::strlen(op_name(node.op)));
    }
    const auto count = [](size_t n, const char* what) { return strprintf("%zu %s%s", n, what, n == 1 ? "" : "s"); };
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

// Recording the backward pass: which tensors have gradients, and the order in which the rules of core/gradients.cpp run.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/graph.h"

namespace nib {

Graph::Gradient Graph::gradient(Tensor t) {
    const size_t id = number(t);
    if (gradients_[id]) return {gradients_[id], true};
    const TensorInfo about = info(t);
    if (about.base >= 0) {  // the same part of the base tensor's gradient
        const auto base = static_cast<size_t>(about.base);
        if (!gradients_[base]) {
            const Tensor whole = make(tensors_[base].shape, DType::F32, tensors_[base].row_count);
            gradients_[base] = whole;
        }
        const int64_t first = static_cast<int64_t>(about.view_offset / dtype_bytes(about.type, 1));
        const Tensor made = view(gradients_[base], about.shape, dtype_bytes(DType::F32, first));
        tensors_.back().stride = about.stride;
        gradients_[id] = made;
        const bool adds = gradient_is_whole_[base];
        gradient_is_whole_[base] = adds || is_all_of_base(t);
        return {made, adds};
    }
    const Location where = weight_gradients_[id];
    const Tensor made = where.buffer >= 0 ? fixed("d " + about.name, about.shape, DType::F32, where)
                                          : make(about.shape, DType::F32, about.row_count);
    gradients_[id] = made;
    gradient_is_whole_[id] = true;
    return {made, false};
}

void Graph::accumulate(std::initializer_list<Gradient> outputs) {
    if (nodes_.empty() || outputs.size() > kMaxOut) fail("there is no node with so many outputs");
    unsigned bits = 0, i = 0;
    for (const Gradient& g : outputs) bits |= static_cast<unsigned>(g.adds) << i++;
    nodes_.back().accumulate = static_cast<uint8_t>(bits);
}

void Graph::set_gradient(Tensor t, Tensor gradient) {
    if (has_gradient(t) || info(t).shape != info(gradient).shape)
        fail("a tensor %s has a gradient already, or not one of shape %s", info(t).shape.text().c_str(),
             info(gradient).shape.text().c_str());
    gradients_[number(t)] = gradient;
    gradient_is_whole_[number(t)] = true;
    if (info(t).base < 0) return;
    const Tensor base{info(t).base};
    if (!is_all_of_base(t)) fail("a part %s of a tensor cannot be given a gradient", info(t).shape.text().c_str());
    set_gradient(base, view(gradient, info(base).shape, 0));
}

// Whether t is a view of all of another tensor.
bool Graph::is_all_of_base(Tensor t) const {
    const TensorInfo& about = info(t);
    return about.base >= 0 && about.view_offset == 0 && about.stride == 0 &&
           about.shape.elements() == info({about.base}).shape.elements();
}

Tensor Graph::computed_again(Tensor t) {
    if (const auto found = again_.find(t.id); found != again_.end()) return found->second;
    const auto makes = [&](const Node& node) { return node[kMaxIn].id == t.id; };
    const auto found = std::find_if(nodes_.rbegin(), nodes_.rend(), makes);
    if (found == nodes_.rend()) return t;
    using E = operand::LinearEpilogue;
    Node node = *found;
    if (!op_is_cheap(node.op) || (node.op == Op::LinearEpilogue && node[E::residual])) return t;
    for (size_t i = 0; i < kMaxIn; ++i)
        if (node.operands[i]) node.operands[i] = computed_again(node.operands[i]);
    std::fill(node.operands.begin() + kMaxIn, node.operands.end(), Tensor{});
    const Tensor y = make_like(t);
    node.operands[kMaxIn] = y;
    nodes_.push_back(node);
    return again_[t.id] = y;
}

// Records nodes [begin, end) again for recomputation, with new tensors for the intermediates that no later node reads, and
// returns them. A node whose outputs are all still in memory is returned as it is and not recorded.
std::vector<Node> Graph::record_again(size_t begin, size_t end) {
    std::unordered_map<int, int> copies;  // by tensor id
    std::vector<bool> read_later(tensors_.size());
    const auto base_of = [&](Tensor t) { return info(t).base >= 0 ? info(t).base : t.id; };
    for (size_t i = end; i < nodes_.size(); ++i)
        for (const Tensor t : nodes_[i].inputs())
            if (t && t.id < static_cast<int>(read_later.size())) read_later[static_cast<size_t>(base_of(t))] = true;
    const auto copy_of = [&](Tensor t) {
        if (!t) return t;
        if (const auto found = copies.find(t.id); found != copies.end()) return Tensor{found->second};
        const TensorInfo about = info(t);
        const auto base = about.base >= 0 ? copies.find(about.base) : copies.end();
        if (base == copies.end()) return t;
        const Tensor copy = view({base->second}, about.shape, about.view_offset);
        tensors_.back().stride = about.stride;
        copies[t.id] = copy.id;
        return copy;
    };
    std::vector<Node> again;
    for (size_t i = begin; i < end; ++i) {
        Node node = nodes_[i];
        const auto outputs = node.outputs();
        const bool known = std::all_of(outputs.begin(), outputs.end(),
                                       [&](Tensor t) { return !t || read_later[static_cast<size_t>(base_of(t))]; });
        for (int k = 0; k < kMaxOperands; ++k) {
            Tensor& t = node.operands[static_cast<size_t>(k)];
            if (!t) continue;
            const bool makes = k >= kMaxIn && info(t).where.buffer < 0 && info(t).base < 0 && !copies.contains(t.id) &&
                               !read_later[static_cast<size_t>(t.id)];
            if (makes) {
                const Tensor copy = make_like(t);
                wants_gradient_[static_cast<size_t>(copy.id)] = wants_gradient(t);
                copies[t.id] = copy.id;
            }
            t = copy_of(t);
        }
        if (!known) nodes_.push_back(node);
        again.push_back(node);
    }
    return again;
}

void Graph::record_backward(bool recompute) {
    if (mode_ != Mode::Train) fail("a graph for inference has no backward pass");
    const auto differentiate = [&](const Node& node) {
        const Tensor y = node[kMaxIn];
        const auto rule = op_info(node.op).gradient;
        if (rule && !node.differentiated && y && has_gradient(y) && wants_gradient(y)) rule(*this, node);
    };
    const auto reach = [&](size_t i) {
        if (const auto found = when_reached_.find(i); found != when_reached_.end()) found->second();
    };
    size_t end = nodes_.size();
    const std::vector<size_t> blocks = std::exchange(blocks_, {});
    for (size_t block = recompute ? blocks.size() : 0; block-- > 0; end = blocks[block]) {
        const size_t begin = blocks[block];
        // The intermediates of the last block are still in memory when its backward pass begins.
        const bool last = block + 1 == blocks.size();
        const std::vector<Node> nodes = last ? std::vector<Node>(nodes_.begin() + static_cast<ptrdiff_t>(begin),
                                                                 nodes_.begin() + static_cast<ptrdiff_t>(end))
                                             : record_again(begin, end);
        for (size_t i = nodes.size(); i-- > 0;) reach(begin + i), differentiate(nodes[i]);
    }
    for (size_t i = end; i-- > 0;) {
        reach(i);
        const Node node = nodes_[i];  // a copy: recording moves the nodes
        differentiate(node);
    }
}

}  // namespace nib

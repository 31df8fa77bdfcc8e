// Values inside a forward pass, for those who ask for them by name: maps of attention, probes, distances between models.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/graph.h"

namespace nib {

/// What Model::hidden keeps readable after the run:
///   embd         what goes into the first block, (B,T,C)
///   blk.N        what block N gives, (B,T,C)
///   blk.N.attn   the weights of its attention, (B,H,T,S); not with a cache, nor with dropout
/// and of a model with an encoder blk.N.cross_attn, the weights of its attention to the source, and enc.embd, enc.blk.N and
/// enc.blk.N.attn, the encoder's, from the trace of ModelInputs::source.
class Trace {
public:
    explicit Trace(const std::vector<std::string>& names) {
        for (const std::string& name : names) tensors_[name];
    }
    bool wants(const std::string& name) const { return tensors_.contains(name); }
    /// Keeps `t` if it is wanted.
    void keep(Graph& g, const std::string& name, Tensor t) {
        if (const auto found = tensors_.find(name); found != tensors_.end()) found->second = g.output(t);
    }
    /// Error when the model has no such value.
    Tensor operator[](const std::string& name) const {
        const auto found = tensors_.find(name);
        if (found == tensors_.end() || !found->second) fail("the model keeps no `%s`", printable(name, 60).c_str());
        return found->second;
    }

private:
    std::map<std::string, Tensor> tensors_;
};

}  // namespace nib

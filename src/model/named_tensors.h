// The tensors of a checkpoint by the names of their layout: whoever saved them, and whatever wraps the model there.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/checkpoint_source.h"
#include "model/config.h"
#include "model/layouts.h"

namespace nib {

/// "(2,3)"
std::string shape_text(const std::vector<int64_t>& shape);

class NamedTensors {
public:
    /// Finds the layout, and what wrappers put before the names: torch.compile and parallel training, Lightning, TRL, PEFT,
    /// or any other module that the model is a member of. Masks are passed over, and so are heads for something else than
    /// the next token. `source` must outlive this. Error when no layout fits, naming what it is instead, and for two models
    /// in one.
    explicit NamedTensors(const CheckpointSource& source);

    const std::string& path() const { return path_; }
    const Layout& layout() const { return *layout_; }
    /// Tensors of heads that are left out.
    const std::vector<const SourceTensor*>& other_heads() const { return other_heads_; }
    /// As many as there are modules, where each head has its own; 0 where the names do not say it.
    int64_t heads() const { return heads_; }

    /// All of the configuration that the shapes say; `heads` is heads().
    ModelConfig sizes() const;

    /// Whether (the first part of) a parameter is there, by its name in GGUF.
    bool has(std::string_view gguf_name) const;
    /// The parts of a parameter, matrices as (outputs, inputs) and without leading dimensions of 1: their rows, one part
    /// below the other, are what `shape` says. Error when a part is missing, has another shape or cannot be read.
    std::vector<SourceTensor> get(std::string_view gguf_name, const std::vector<int64_t>& shape);

    /// Error when there is a tensor that get() has not given, or a head that is left out has the shape of the embedding.
    void refuse_others(const ModelConfig& config) const;

private:
    void find_layout(const std::vector<std::string>& names);
    void count_heads();
    const StoredAs& row_of(std::string_view gguf_name) const;
    std::vector<std::string> part_names(std::string_view gguf_name) const;
    const SourceTensor& tensor(const std::string& name) const;
    std::vector<int64_t> matrix_shape(std::string_view gguf_name) const;
    bool conv1d() const;

    std::string path_;
    const Layout* layout_ = nullptr;
    std::string prefix_;  // before the names of most tensors
    std::map<std::string, const SourceTensor*> by_name_;
    std::set<std::string> used_;
    std::vector<const SourceTensor*> other_heads_;
    int64_t heads_ = 0;
};

}  // namespace nib

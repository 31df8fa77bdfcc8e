// The tensors of a checkpoint by the names of their layout: whoever saved them, and whatever wraps the model there.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/checkpoint_source.h"
#include "model/architecture.h"
#include "model/layouts.h"

namespace nib {

/// "(2,3)"
std::string shape_text(std::span<const int64_t> shape);

class NamedTensors {
public:
    /// Finds the family and the layout, and what wrappers put before the names: torch.compile and parallel training,
    /// Lightning, TRL, PEFT, or any other module that the model is a member of. Masks are passed over, and so are heads for
    /// something else than the next token. `source` must outlive this. `said` is whose model it is, where something says
    /// it. Error when no layout fits (that `said` has), naming what it is instead, and for two models in one.
    NamedTensors(const CheckpointSource& source, const Architecture* said);

    const std::string& path() const { return path_; }
    const Architecture& architecture() const { return *architecture_; }
    const Layout& layout() const { return *layout_; }
    /// Tensors of heads that are left out.
    const std::vector<const SourceTensor*>& other_heads() const { return other_heads_; }
    /// Whether there is nothing else in the module of a parameter, such as a bias.
    bool is_alone(std::string_view gguf_name) const;
    /// Makes a head that the layout has one of those.
    void leave_out(std::string_view gguf_name);
    /// As many as there are modules, where each head has its own; 0 where the names do not say it.
    int64_t heads() const { return heads_; }

    /// A configuration with Architecture::defaults, the sizes that the shapes say and the heads that the names may be of;
    /// the others are 0.
    ModelConfig sizes() const;

    /// Whether (the first part of) a parameter is there, by its name in GGUF.
    bool has(std::string_view gguf_name) const;
    /// What the file calls it, or would.
    std::string name_of(std::string_view gguf_name) const;
    /// The parts of a parameter as `config` has it: one part after the other, their elements are those of a tensor of this
    /// shape. Error when a part is missing, has another shape or cannot be read.
    std::vector<SourceTensor> get(std::string_view gguf_name, const std::vector<int64_t>& shape, const ModelConfig& config);

    /// Rows of a matrix.
    int64_t rows(std::string_view gguf_name) const { return matrix_shape(gguf_name)[0]; }
    /// What the file has under the other names of a parameter, as copies of it.
    std::vector<const SourceTensor*> copies(std::string_view gguf_name);

    /// Error when there is a tensor that get() or copies() has not given, or a head that is left out has the shape of the
    /// embedding.
    void refuse_others(const ModelConfig& config) const;

private:
    struct Candidate;
    static std::vector<Candidate> candidates(const std::vector<std::string>& names, const Architecture& family,
                                             const Layout& layout);
    static std::vector<Candidate> candidates(const std::vector<std::string>& names,
                                             std::span<const Architecture* const> families);
    void take_layout(const std::vector<std::string>& names, const Architecture* said);
    const StoredAs& row_of(std::string_view gguf_name) const;
    std::string module_of(std::string_view gguf_name) const;
    std::vector<std::string> part_names(std::string_view gguf_name) const;
    const SourceTensor& tensor(const std::string& name) const;
    std::vector<int64_t> matrix_shape(std::string_view gguf_name) const;
    bool conv1d(const StoredAs& row) const;

    std::string path_;
    const Architecture* architecture_ = nullptr;
    const Layout* layout_ = nullptr;
    std::string prefix_;  // before the names of most tensors
    std::map<std::string, const SourceTensor*> by_name_;
    std::set<std::string> used_;
    std::vector<const SourceTensor*> other_heads_;
    int64_t heads_ = 0;
};

}  // namespace nib

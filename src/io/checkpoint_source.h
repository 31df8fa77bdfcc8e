// A model of another program: a folder as on the Hugging Face hub, a safetensors file, a PyTorch checkpoint or a file of
// llama2.c.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/mapped_file.h"
#include "io/pickle.h"
#include "io/source_tensor.h"

namespace nib {

class CheckpointSource {
public:
    /// Opens a file (its content says what it is), a folder (io/checkpoint_folder.h says which of its files) or a shard
    /// index with its shards. All files are mapped and checked, except for the numbers in the tensors. Error names the file
    /// and the tensor.
    static CheckpointSource open(const std::string& path);

    /// In file order, the files in turn. Names are as in the files, prefixes included.
    const std::vector<SourceTensor>& tensors() const { return tensors_; }
    /// The tensor called `name`; find: nullptr when there is none, tensor: Error.
    const SourceTensor* find(std::string_view name) const;
    const SourceTensor& tensor(std::string_view name) const;

    /// Releases the memory of a tensor that has been used; it is read from the file again if needed.
    void release(const SourceTensor& tensor) const {
        for (const MappedFile& file : files_) file.release(tensor.data);
    }

    /// Everything in a PyTorch checkpoint (`model_args`, `config`, ...); nullptr unless the source is a single file of that
    /// kind.
    const PickleValue* root() const { return has_root_ ? &pickle_.root() : nullptr; }

    /// Sizes in the header of a llama2.c file, by llama2.c's names (io/llama2c.h); empty for all others.
    const std::vector<std::pair<std::string, int64_t>>& header() const { return header_; }

    /// What the user should know about how the tensors were found, a line each.
    const std::vector<std::string>& notes() const { return notes_; }

    /// The path that was opened, and the files with weights.
    const std::string& path() const { return path_; }
    const std::vector<MappedFile>& files() const { return files_; }

private:
    CheckpointSource() = default;
    void add_file(const std::string& path, bool single);
    void add_shards(const std::string& index);
    void check_shards(const std::string& index, const std::vector<std::pair<std::string, std::string>>& map,
                      const std::vector<std::string_view>& homes);
    void order_by_name();

    std::string path_;
    std::vector<MappedFile> files_;
    std::vector<SourceTensor> tensors_;
    std::vector<size_t> by_name_;  // indices in the order of the names
    std::vector<std::string> notes_;
    std::vector<std::pair<std::string, int64_t>> header_;
    Pickle pickle_;
    bool has_root_ = false;
};

/// The `weight_map` of a shard index: (tensor, file), sorted. Error names `file`.
std::vector<std::pair<std::string, std::string>> parse_shard_index(std::string_view text, const std::string& file);

}  // namespace nib

// From numbers to a file's tensors: what type each is stored as, and the pass over the weights that packs them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/parallel.h"
#include "io/gguf.h"
#include "io/source_tensor.h"

namespace nib {

/// The type that users write as "q4_k"; none if weights cannot be stored so.
std::optional<DType> find_weight_type(const std::string& name);
/// "f32, f16, ...", for messages.
std::string weight_type_names();

/// As what a file of type `type` stores this tensor: matrices as that type, vectors and the embeddings of positions and
/// segments as f32. Error when the type's blocks do not fill a matrix's rows.
DType stored_type(DType type, const std::string& name, std::span<const int64_t> shape);

/// Whether a checkpoint of PyTorch can hold the type: f32, f16 and bf16.
bool is_plain(DType type);
SourceType source_type(DType type);  // of a plain type; others are written as F32

/// A file's tensor as one to read, unpacked into `values` unless its type is plain.
SourceTensor open_tensor(const GgufTensor& from, std::vector<float>& values);

/// Sets the keys by which llama.cpp knows the type of most tensors: general.file_type, general.quantization_version.
void write_file_type(GgufWriter& file, DType type);

/// A tensor's elements as float: as many from `first` on as `out` has. Called from several threads at once; must not throw.
using ReadValues = std::function<void(int64_t first, std::span<float> out)>;

/// Packs tensors, a piece at a time on all threads, and watches the numbers that pass.
class Encoder {
public:
    /// `progress` is called with the share done, from 0 to 1, of `elements`.
    Encoder(int threads, int64_t elements, std::function<void(double)> progress);

    /// Gives the elements of a tensor as `type` to `sink`, front to back. Needs a few MB, or a row where that is more.
    void encode(const std::string& name, DType type, std::span<const int64_t> shape, const ReadValues& read,
                const std::function<void(std::span<const std::byte>)>& sink);

    /// What is to be said about the numbers so far, a line each: NaN and infinities, where they stay and where blocks have
    /// no room for them, and those too large for f16.
    std::vector<std::string> findings() const;

private:
    struct Count {
        int64_t values = 0;
        std::string first;  // tensor
    };
    struct Part {  // of one thread
        std::vector<float> values;
        std::vector<std::byte> packed;
        int64_t not_finite = 0, too_large = 0;
    };
    static void add(Count& count, int64_t values, const std::string& tensor);

    ThreadPool pool_;
    std::vector<Part> parts_;
    std::function<void(double)> progress_;
    int64_t elements_, done_ = 0;
    Count not_finite_, replaced_, too_large_;
};

}  // namespace nib

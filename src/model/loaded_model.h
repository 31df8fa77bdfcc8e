// A model file, opened and ready to run.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend.h"
#include "io/gguf.h"
#include "model/adapter_file.h"
#include "model/architecture.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace nib {

/// The file's bytes as a buffer of the backend. Error when one of its tensors is too large for that.
int map_weights(Backend& backend, const GgufFile& file);

/// Error, naming the file and a tensor, unless the file holds every parameter of the configuration in its shape, and
/// nothing that such a model does not use: it would give other numbers than the file's author meant.
void check_tensors(const ModelConfig& config, const GgufFile& file);

/// Weights in place in a mapped file whose bytes are buffer `buffer`. Error as from check_tensors(), and for a type that
/// nib does not run.
Weights weights_in(const ModelConfig& config, const GgufFile& file, int buffer);

/// The parts of a GGUF file with its weights on a backend, which must outlive it. On the CPU the weights are used where
/// they are mapped: opening copies nothing.
class LoadedModel {
public:
    /// Error, naming the file, for everything that keeps it from running: not GGUF, another architecture, a missing key or
    /// tensor, wrong shapes, a tokenizer that does not fit. `adapters` are attached to its weights; Error with all that
    /// keeps one from being this model's (model/adapter_file.h).
    LoadedModel(const std::string& path, Backend& backend, std::span<const AdapterChoice> adapters = {});
    LoadedModel(const LoadedModel&) = delete;
    LoadedModel& operator=(const LoadedModel&) = delete;

    const GgufFile& file() const { return file_; }
    const ModelConfig& config() const { return config_; }
    /// Of what the model reads, of models with an encoder the sources. TokenNumbers when the file has none.
    const Tokenizer& tokenizer() const { return *tokenizer_; }
    /// Of what it writes: the same one, unless a model with an encoder has two.
    const Tokenizer& target_tokenizer() const { return target_tokenizer_ ? *target_tokenizer_ : *tokenizer_; }
    /// Tokenizer::set_end_token().
    void set_end_token(std::string_view text) { tokenizer_->set_end_token(text); }
    const Weights& weights() const { return weights_; }
    /// The Jinja by which dialogues are written, an adapter's own before the model's; empty: none.
    std::string chat_template() const;

private:
    GgufFile file_;
    ModelConfig config_;
    std::unique_ptr<Tokenizer> tokenizer_, target_tokenizer_;  // the latter may be null
    // Bytes of a file as a buffer of the backend.
    class Mapped {
    public:
        Mapped(Backend& backend, const GgufFile& file) : backend_(backend), buffer_(map_weights(backend, file)) {}
        ~Mapped() { backend_.release(buffer_); }
        Mapped(const Mapped&) = delete;
        Mapped& operator=(const Mapped&) = delete;
        int buffer() const { return buffer_; }

    private:
        Backend& backend_;
        int buffer_;
    };
    struct Attached {
        AdapterFile file;
        Mapped mapped;
        Attached(Backend& backend, AdapterFile opened) : file(std::move(opened)), mapped(backend, file.file()) {}
    };

    Mapped mapped_;
    std::vector<std::unique_ptr<Attached>> adapters_;
    Weights weights_;
};

}  // namespace nib

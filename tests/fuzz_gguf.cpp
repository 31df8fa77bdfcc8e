// libFuzzer target: no bytes may crash the GGUF reader, nor what opens a model of such a file. The seeds are in
// tests/fuzz_corpus/gguf.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "core/error.h"
#include "io/gguf.h"
#include "model/adapter_file.h"
#include "model/architecture.h"
#include "model/config.h"
#include "model/loaded_model.h"
#include "text/tokenizer_gguf.h"

namespace {

volatile uint64_t sink;  // keeps the reads of values that nobody uses

template <class T>
void touch(const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
        sink = sink + (value != T(0));
    } else if constexpr (std::is_same_v<T, std::string>) {
        for (const char letter : value) touch(letter);
    } else {
        for (const auto& element : value) touch(static_cast<const typename T::value_type&>(element));
    }
}

template <class T>
void try_get(const nib::GgufFile& file, const std::string& key) {
    try {
        touch(file.get<T>(key));
    } catch (const nib::Error&) {
    }
}

void try_model(const nib::GgufFile& file) {
    try {
        const nib::ModelConfig config = nib::read_config(file);
        CHECK(nib::weights_in(config, file, 0).all().size() == nib::model_parameters(config).size());
    } catch (const nib::Error&) {
    }
    try {
        for (const auto& tokenizer : {nib::read_tokenizer(file), nib::read_target_tokenizer(file)}) {
            if (!tokenizer) continue;
            touch(tokenizer->decode(0));
            touch(tokenizer->encode(" a\u00e9\uff21<s>", {.skip_unknown = true}));
        }
    } catch (const nib::Error&) {
    }
}

void try_adapter(const nib::GgufFile& file) {
    try {
        const nib::AdapterFile adapter(nib::GgufFile::parse(file.bytes(), file.name()));
        std::vector<nib::AdaptedMatrix> matrices;
        for (const nib::AdapterFile::Pair& pair : adapter.pairs()) {
            CHECK(adapter.scale(pair) >= 0);
            matrices.push_back({pair.parameter, pair.b->shape[0], pair.a->shape[1]});
        }
        nib::ModelConfig config;
        config.vocab = 8;
        touch(nib::adapter_mismatches(adapter.keys().arch, matrices, config));
    } catch (const nib::Error&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const auto file = nib::GgufFile::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
        for (const auto& [key, value] : file.metadata()) {
            CHECK(file.value(key) == &value);
            std::visit([](const auto& content) { touch(content); }, value);
            try_get<int8_t>(file, key);
            try_get<uint64_t>(file, key);
            try_get<float>(file, key);
            try_get<bool>(file, key);
            try_get<std::string>(file, key);
        }
        for (const nib::GgufTensor& tensor : file.tensors()) {
            CHECK(&file.tensor(tensor.name) == &tensor && !tensor.data.empty());
            touch(uint8_t(tensor.data.front()));
            touch(uint8_t(tensor.data.back()));
        }
        try_model(file);
        try_adapter(file);
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
    return 0;
}

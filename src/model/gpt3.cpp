// GPT-3 (Brown et al. 2020): GPT-2 in which every second layer looks no further back than a window.
//
// The paper says "alternating dense and locally banded sparse attention patterns", but not how wide the bands are.
#include "model/families.h"
#include "model/gpt2.h"

namespace nib {
namespace {

std::unique_ptr<Model> make(const ModelConfig& config) { return std::make_unique<Gpt2>(config); }

void set_defaults(ModelConfig& c) {
    set_gpt_defaults(c);
    c.attention.window = 256;
}

const char* beyond_llama_cpp(const ModelConfig&) { return "llama.cpp does not know GPT-3"; }

}  // namespace

constinit const Architecture kGpt3 = {
    .name = "gpt3",
    .title = "GPT-3",
    .make = make,
    .defaults = set_defaults,
    .complete = complete_gpt,
    .read = read_gpt_keys,
    .write = write_gpt_keys,
    .beyond_llama_cpp = beyond_llama_cpp,
    .checkpoints = nullptr,
    .may_be_local = true,
    .heads = kDecoderHeads,
};

}  // namespace nib

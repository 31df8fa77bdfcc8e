// GPT-Neo (Black et al. 2021): GPT-2 in which some layers, usually every second one, look no further back than a window of
// 256. Queries, keys and values have matrices of their own, without biases, and scores are not divided by sqrt(D).
#include "model/families.h"
#include "model/gpt2.h"

namespace nib {
namespace {

std::unique_ptr<Model> make(const ModelConfig& config) {
    return std::make_unique<Gpt2>(config, Gpt2::Projections::Separate);
}

void set_defaults(ModelConfig& c) {
    set_gpt_defaults(c);
    c.qkv_bias = false;
    c.attention.window = 256;
    c.attention.scale = 1;
}

const char* beyond_llama_cpp(const ModelConfig&) { return "llama.cpp does not know GPT-Neo"; }

}  // namespace

constinit const Architecture kGptNeo = {
    .name = "gptneo",
    .title = "GPT-Neo",
    .make = make,
    .defaults = set_defaults,
    .complete = complete_gpt,
    .read = read_gpt_keys,
    .write = write_gpt_keys,
    .beyond_llama_cpp = beyond_llama_cpp,
    .checkpoints = &kGptNeoCheckpoints,
    .may_be_local = true,
    .heads = kDecoderHeads,
};

}  // namespace nib

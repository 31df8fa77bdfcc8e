// The rows of the table of families, each in its own file.
#pragma once

#include "model/architecture.h"

namespace nib {

extern const Architecture kBert;         // bert.cpp
extern const Architecture kGpt1;         // gpt1.cpp
extern const Architecture kGpt2;         // gpt2.cpp
extern const Architecture kGpt3;         // gpt3.cpp
extern const Architecture kGptNeo;       // gptneo.cpp
extern const Architecture kLlama;        // llama.cpp
extern const Architecture kQwen2;        // llama.cpp
extern const Architecture kTransformer;  // transformer.cpp

/// The heads of decoders: Model::add_task_heads().
inline constexpr HeadTensor kDecoderHeads[] = {
    {"class", "cls.output.weight"}
};

/// Architecture::lr_scale of families whose norms come after the sums; measured on GPT-1, BERT and the Transformer.
inline constexpr double kPostNormLr = 1 / 3.0;

extern const CheckpointFormat kBertCheckpoints;         // bert_files.cpp
extern const CheckpointFormat kGpt1Checkpoints;         // gpt1_files.cpp
extern const CheckpointFormat kGpt2Checkpoints;         // gpt2_files.cpp
extern const CheckpointFormat kGptNeoCheckpoints;       // gptneo_files.cpp
extern const CheckpointFormat kLlamaCheckpoints;        // llama_files.cpp
extern const CheckpointFormat kQwen2Checkpoints;        // llama_files.cpp
extern const CheckpointFormat kTransformerCheckpoints;  // transformer_files.cpp

}  // namespace nib

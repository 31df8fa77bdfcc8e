// nib eval of models with an encoder: how well they translate.
#pragma once

#include <string>

#include "core/backend.h"
#include "infer/beam.h"
#include "model/loaded_model.h"
#include "task/pair_reader.h"

namespace nib {

struct EvalPairsOptions {
    PairFiles files;
    BeamOptions beam;
    std::string
        bleu_tokenize;  // sacreBLEU's name of how words are told apart; empty: zh for mostly Chinese references, 13a
    bool json = false;
};

/// Prints BLEU and chrF of a model's translations of the sources of pairs, and how well it predicts the targets.
void eval_pairs(const EvalPairsOptions& options, Backend& backend, const LoadedModel& model);

}  // namespace nib

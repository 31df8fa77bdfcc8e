// Finds the weights in a PyTorch checkpoint.
#pragma once

#include <string>
#include <vector>

#include "io/pickle.h"

namespace nib {

struct StateDict {
    const PickleValue* dict;          // has Tensors under Text keys, and perhaps other entries
    std::string key;                  // where it is: "model", "checkpoint.net"; empty at the top
    std::vector<std::string> others;  // where other dicts of tensors are, which were not chosen
};

/// The dict of tensors by name: the only one in `root`, or among several the one under a usual key (`model`, `state_dict`,
/// ...). Those of optimizers do not count. Error, naming `file`, when there is none, it is not clear which of several is
/// meant, or the weights are in an object that nib does not know.
StateDict find_state_dict(const PickleValue& root, const std::string& file);

/// Why weights in an Object cannot be read, as a clause: "is made by `f`, which nib does not know and never calls: ...".
std::string why_unreadable(const PickleValue& object);

}  // namespace nib

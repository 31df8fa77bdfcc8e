// Where the weights are among all that a PyTorch checkpoint holds.
#pragma once

#include <string>
#include <vector>

#include "io/pickle.h"

namespace nib {

struct StateDict {
    const PickleValue* dict;          // some of its Text keys have Tensors
    std::string key;                  // where it is: "model", "checkpoint.net"; empty at the top
    std::vector<std::string> others;  // where there are dicts of tensors, too, that were left out
};

/// The dict of tensors by name: the only one in `root`, or among several the one under a usual key (`model`, `state_dict`,
/// ...). Those of optimizers do not count. Error, naming `file`, when there is none, none of several is the one, or the
/// weights are in an object that nib does not know.
StateDict find_state_dict(const PickleValue& root, const std::string& file);

/// Why the weights in an Object cannot be had, a clause: "is made by `f`, which nib does not know and never calls: ...".
std::string why_unreadable(const PickleValue& object);

}  // namespace nib

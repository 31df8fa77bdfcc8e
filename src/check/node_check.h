// Holds a backend's single nodes to the reference, as op_check.h does kernels.
#pragma once

#include <optional>

#include "check/op_check.h"
#include "core/backend.h"

namespace nib::check {

/// Runs the case on `backend` and on the reference. Nothing: the backend does not support it.
std::optional<Comparison> check_op(const OpCase& c, Backend& backend);

}  // namespace nib::check

// Checks single nodes of a backend against the reference, as op_check.h checks kernels.
#pragma once

#include <optional>

#include "check/op_check.h"
#include "core/backend.h"

namespace nib::check {

/// Runs the case on `backend` and on the reference. Empty: the backend does not support it.
std::optional<Comparison> check_op(const OpCase& c, Backend& backend);

}  // namespace nib::check

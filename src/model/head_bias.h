// A head with a bias, which models here have not: put into what they have.
#pragma once

#include "model/import.h"

namespace nib {

/// Changes the head (output.weight) and the final norm of `model` so that the logits are those with `bias` (V) added. The
/// head must be there, not tied.
///
/// The norm gives g*n + b, where n has mean zero, and the head W: logits = W(g*n + b) + bias. With norm n + 1 and head
/// W diag(g) + u 1^T they are W(g*n) + Wg + u C, since 1^T n = 0; so u = (Wb + bias - Wg) / C.
void fold_head_bias(ImportedModel& model, const SourceTensor& bias);

}  // namespace nib

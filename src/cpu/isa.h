// Which kernels this machine can run.
#pragma once

#include <string>
#include <vector>

#include "core/op.h"

namespace nib {

/// Tables that this machine supports, best first; the scalar reference ("ref") is the last.
std::vector<const KernelTable*> kernel_tables();

/// The table called `name`, or the best one for "auto". Throws Error that lists the names this machine has,
/// UsageError when no machine has it.
const KernelTable& kernel_table(const std::string& name);

}  // namespace nib

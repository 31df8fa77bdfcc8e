// How much memory may be used.
#pragma once

#include <string>

namespace nib {

/// Bytes of memory that this process may use: what the machine has and what is available of it, swap included, or the
/// limit of a control group (version 1 or 2) that the process is in, if that is lower. `root` is where /proc and /sys are.
double memory_limit(const std::string& root = "");

}  // namespace nib

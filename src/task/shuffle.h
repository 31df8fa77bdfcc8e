// The order in which a training takes examples, without remembering it.
#pragma once

#include <cstdint>

namespace nib {

/// The example, of `count`, that a training takes as number `n`: in every epoch each one once, and in another order than
/// in the epoch before. A Feistel network over the next power of four, walked until a number is in range (Black and
/// Rogaway 2002), so that it can be asked for any n alone.
int64_t shuffled(uint64_t seed, uint64_t n, int64_t count);

}  // namespace nib

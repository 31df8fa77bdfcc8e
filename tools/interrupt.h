// Work whose result is one file, and that Ctrl-C ends without leaving anything.
#pragma once

#include <string>

namespace nib {

/// From now on the first SIGINT or SIGTERM is only noted; a second one ends the process at once.
void catch_interrupts();

/// No longer: they end the process.
void release_interrupts();

/// Error when there was one, about the file that is not written.
void stop_if_interrupted(const std::string& output);

}  // namespace nib

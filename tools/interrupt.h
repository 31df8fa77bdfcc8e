// What Ctrl-C does: it ends work whose result is one file without leaving anything, or is noted.
#pragma once

#include <string>

namespace nib {

/// From now on the first SIGINT or SIGTERM is only noted; a second one ends the process at once.
void catch_interrupts();

/// No longer: they end the process.
void release_interrupts();

/// Error when there was one, about the file that is not written.
void stop_if_interrupted(const std::string& output);

/// From now on SIGINT is only noted, each time anew. Error when the system has no descriptors left.
void note_interrupts();
/// Whether one was noted that forget_interrupt() has not forgotten.
bool interrupt_noted();
void forget_interrupt();
/// Waits until there is something to read from `descriptor`, its end included; false once one is noted or was before.
bool wait_to_read(int descriptor);

}  // namespace nib

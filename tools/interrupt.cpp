#include "interrupt.h"

#include <atomic>
#include <csignal>

#include "core/error.h"

namespace nib {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int) { interrupted = true; }

}  // namespace

void catch_interrupts() {
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

void note_interrupts() {
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, nullptr);
}

bool interrupt_noted() { return interrupted; }

void forget_interrupt() { interrupted = false; }

void release_interrupts() {
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
}

void stop_if_interrupted(const std::string& output) {
    if (interrupted) fail("%s: interrupted; nothing is written", printable(output).c_str());
}

}  // namespace nib

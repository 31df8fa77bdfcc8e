#include "interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "core/error.h"

namespace nib {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int) { interrupted = true; }

// An eventfd, readable as long as a SIGINT is noted: it may come just before poll(), or in another thread.
int noted = -1;

extern "C" void on_noted_interrupt(int) {
    const int before = errno;
    interrupted = true;
    constexpr uint64_t kOnce = 1;
    [[maybe_unused]] const auto written = write(noted, &kOnce, sizeof kOnce);
    errno = before;
}

}  // namespace

void catch_interrupts() {
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

void note_interrupts() {
    noted = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (noted < 0) fail("cannot wait for Ctrl-C: %s", std::strerror(errno));
    struct sigaction action = {};
    action.sa_handler = on_noted_interrupt;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, nullptr);
}

bool interrupt_noted() { return interrupted; }

void forget_interrupt() {
    uint64_t count = 0;
    [[maybe_unused]] const auto taken = read(noted, &count, sizeof count);
    interrupted = false;
}

bool wait_to_read(int descriptor) {
    for (;;) {
        pollfd both[] = {
            {descriptor, POLLIN, 0},
            {noted,      POLLIN, 0}, // left out if it is -1
        };
        if (poll(both, 2, -1) >= 0) return both[1].revents == 0;
        if (errno != EINTR) return true;  // reading will tell
    }
}

void release_interrupts() {
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
}

void stop_if_interrupted(const std::string& output) {
    if (interrupted) fail("%s: interrupted; nothing is written", printable(output).c_str());
}

}  // namespace nib

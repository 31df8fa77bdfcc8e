#include "console.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "core/error.h"

namespace nib {
namespace {

const auto program_start = std::chrono::steady_clock::now();

// A field of /proc/self/status in bytes; 0 where there is none.
double memory_field(const char* name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(name)) return std::strtod(line.c_str() + std::strlen(name), nullptr) * 1024;
    return 0;
}

}  // namespace

void print(std::string_view text) {
    errno = 0;
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return;
    if (errno == EPIPE) throw OutputClosed();
    fail("standard output cannot be written: %s", std::strerror(errno));
}

void print_json(const nlohmann::ordered_json& json) {
    print(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

// Not getrusage(), whose peak includes the program that started this one.
double peak_memory() { return memory_field("VmHWM:"); }

double anonymous_memory() { return memory_field("RssAnon:"); }

double seconds_since_start() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - program_start).count();
}

}  // namespace nib

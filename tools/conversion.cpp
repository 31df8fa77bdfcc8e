#include "conversion.h"

#include <atomic>
#include <csignal>
#include <cstdio>

#include "console.h"
#include "core/error.h"
#include "io/progress.h"
#include "model/encode.h"
#include "options.h"

namespace nib {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int) { interrupted = true; }

// Ctrl-C makes the next report of progress an error, which removes what was written; once more ends the process at once.
void catch_interrupts() {
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

}  // namespace

void add_conversion_options(CLI::App& app, bool& overwrite, int& threads) {
    threads = BackendOptions().threads;
    app.add_flag("--overwrite", overwrite, "replace what is there under the output's name");
    add_threads_option(app, threads);
}

DType weight_type(const char* option, const std::string& name) {
    if (const auto type = find_weight_type(name)) return *type;
    fail_usage("%s: there is no type `%s`; choose one of: %s", option, printable(name, 40).c_str(),
               weight_type_names().c_str());
}

void report_conversion(const std::string& output, const std::function<ConvertResult(const ConvertReports&)>& convert) {
    Progress progress(stderr, stderr_is_terminal(), 1);
    const double start = seconds_since_start();
    catch_interrupts();
    const auto warn = [&](const std::string& text) { progress.line("nib: warning: " + text); };
    const auto show = [&](double share) {
        if (interrupted) fail("%s: interrupted; nothing is written", printable(output).c_str());
        const double seconds = seconds_since_start() - start;
        progress.status(strprintf("%.0f %%  %s left", 100 * share, clock_text(seconds * (1 - share) / share).c_str()));
    };
    const ConvertResult result = [&] {
        try {
            return convert({warn, show});
        } catch (const OutputExists& error) {
            fail("%s; add --overwrite to replace it", error.what());
        }
    }();
    progress.line(strprintf("%s: %s, %.1fM parameters, %s, %.1f s", printable(output).c_str(),
                            dtype_info(result.type)->name, static_cast<double>(result.parameters) / 1e6,
                            human_bytes(static_cast<double>(result.bytes)).c_str(), seconds_since_start() - start));
}

}  // namespace nib

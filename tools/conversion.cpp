#include "conversion.h"

#include <cstdio>

#include "console.h"
#include "core/error.h"
#include "interrupt.h"
#include "io/progress.h"
#include "model/encode.h"
#include "options.h"
#include "usage.h"

namespace nib {
namespace {

std::string count_text(int64_t parameters) {
    const auto count = static_cast<double>(parameters);
    return parameters < 1'000'000 ? strprintf("%.1fk", count / 1e3) : strprintf("%.1fM", count / 1e6);
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

void report_conversion(const CLI::App& command, const std::string& output,
                       const std::function<ConvertResult(const ConvertReports&)>& convert) {
    Progress progress(stderr, stderr_is_terminal(), 1);
    const double start = seconds_since_start();
    catch_interrupts();
    const ConvertResult result = convert(
        {[&](const Note& note) { progress.line("nib: warning: " + note.text + advice(note.remedy, command)); },
         [&](double share) {
             stop_if_interrupted(output);  // removes it
             const double seconds = seconds_since_start() - start;
             progress.status(strprintf("%.0f %%  %s left", 100 * share, clock_text(seconds * (1 - share) / share).c_str()));
         }});
    progress.line(strprintf("%s: %s, %s parameters, %s, %.1f s", printable(output).c_str(), dtype_info(result.type)->name,
                            count_text(result.parameters).c_str(), human_bytes(static_cast<double>(result.bytes)).c_str(),
                            seconds_since_start() - start));
}

}  // namespace nib

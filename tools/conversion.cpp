#include "conversion.h"

#include <cstdio>

#include "console.h"
#include "core/error.h"
#include "model/encode.h"
#include "options.h"
#include "train/progress.h"

namespace nib {

void add_conversion_options(CLI::App& app, bool& overwrite, int& threads) {
    threads = BackendOptions().threads;
    app.add_flag("--overwrite", overwrite, "replace what is there under the output's name");
    add_threads_option(app, threads);
}

DType weight_type(const char* option, const std::string& name) {
    if (const auto type = find_weight_type(name)) return *type;
    fail("%s: there is no type `%s`; choose one of: %s", option, printable(name, 40).c_str(), weight_type_names().c_str());
}

void report_conversion(const std::string& output, const std::function<ConvertResult(const ConvertReports&)>& convert) {
    Progress progress(stderr, stderr_is_terminal(), 1);
    const double start = seconds_since_start();
    const ConvertResult result = convert(
        {[&](const std::string& text) { progress.line("nib: warning: " + text); },
         [&](double share) {
             const double seconds = seconds_since_start() - start;
             progress.status(strprintf("%.0f %%  %s left", 100 * share, clock_text(seconds * (1 - share) / share).c_str()));
         }});
    progress.line(strprintf("%s: %s, %.1fM parameters, %s, %.1f s", printable(output).c_str(),
                            dtype_info(result.type)->name, static_cast<double>(result.parameters) / 1e6,
                            human_bytes(static_cast<double>(result.bytes)).c_str(), seconds_since_start() - start));
}

}  // namespace nib

#include "sampling_options.h"

#include <random>

#include "options.h"

namespace nib {

CLI::Option* add_sampling_options(CLI::App& app, SamplerOptions& s) {
    const auto real = [&](const char* flag, double& value, const char* help) {
        app.add_option(flag, value, help)->transform(real_number())->type_name("X")->capture_default_str();
    };
    const auto whole = [&](const char* flag, int64_t& value, const char* help) {
        app.add_option(flag, value, help)->transform(whole_number())->type_name("N")->capture_default_str();
    };
    real("--temp", s.temperature, "temperature: lower is safer, higher is wilder; 0 always takes the most probable");
    whole("--top-k", s.top_k, "choose among the N most probable tokens only; 0: all");
    real("--top-p", s.top_p, "choose among the fewest tokens that together have probability X; 1: all");
    real("--min-p", s.min_p, "only tokens at least X times as probable as the most probable one; 0: all");
    real("--repeat-penalty", s.repeat_penalty, "make recent tokens less probable by this factor; 1: off");
    whole("--repeat-last", s.repeat_last, "tokens that count as recent; -1: all");
    return app
        .add_option("--seed", s.seed,
                    "number that all randomness comes from; the same seed writes the same text "
                    "(default: another one each time)")
        ->transform(whole_number(0))
        ->type_name("N");
}

void choose_seed(const CLI::Option& seed, SamplerOptions& options) {
    if (seed.count() == 0) options.seed = std::random_device{}();
}

void add_stop_option(CLI::App& app, std::vector<std::string>& stop) {
    app.add_option("--stop", stop, "end before this text appears in what the model writes; may be given again")
        ->type_name("TEXT")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace nib

#include "engine_options.h"

#include <algorithm>

#include "core/error.h"
#include "io/memory_limit.h"
#include "options.h"

namespace nib {

void add_cache_options(CLI::App& app, CacheOptions& options, const std::string& default_context) {
    app.add_option("--context", options.context,
                   "tokens of a text that the model sees at most; more take more memory (default: " + default_context + ")")
        ->transform(whole_number(1, int64_t{1} << 40))
        ->type_name("N");
    add_cache_option(app, options.type);
}

std::unique_ptr<Engine> make_engine(Backend& backend, const LoadedModel& model, const CacheOptions& options, int64_t texts,
                                    int64_t default_context) {
    const ModelConfig& config = model.config();
    if (options.context > config.context)
        fail_option("context", "is %lld; the model has a context of %lld tokens", static_cast<long long>(options.context),
                    static_cast<long long>(config.context));
    const EngineOptions engine = {
        .slots = texts,
        .context = options.context > 0 ? options.context : std::min(default_context, config.context),
        .cache_type = float_type(options.type)};
    if (const double bytes = Engine::cache_bytes(config, engine), limit = memory_limit(); bytes > limit)
        fail("the keys and values of %s tokens need %s of memory, but this machine has %s; choose a smaller --context%s",
             (texts > 1 ? strprintf("%lld x %lld", static_cast<long long>(texts), static_cast<long long>(engine.context))
                        : std::to_string(engine.context))
                 .c_str(),
             human_bytes(bytes).c_str(), human_bytes(limit).c_str(), texts > 1 ? " or fewer --samples" : "");
    return std::make_unique<Engine>(backend, config, model.weights(), engine);
}

}  // namespace nib

#include "beam_options.h"

#include "options.h"

namespace nib {

void add_beam_options(CLI::App& app, BeamOptions& options) {
    app.add_option("--beam", options.beams, "texts that are kept at each step; 1: greedy")
        ->transform(whole_number())
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--length-penalty", options.length_penalty, "exponent of the length in the score")
        ->transform(real_number())
        ->type_name("A")
        ->capture_default_str();
}

}  // namespace nib

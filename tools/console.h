// Results go to standard output, progress and diagnostics to standard error.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace nib {

/// Thrown when nobody reads standard output any more (`nib run ... | head`): the program ends without a message.
struct OutputClosed {};

/// Writes to standard output at once. Error when that fails.
void print(std::string_view text);
/// JSON on one line, keys in the order in which they were added.
void print_json(const nlohmann::ordered_json& json);

/// Whether standard error is a terminal, so that a live line makes sense.
bool stderr_is_terminal();

/// The largest amount of memory that the process has used, in bytes.
double peak_memory();
/// Memory that the process uses now and that is not backed by files, in bytes; 0 where the system does not tell.
double anonymous_memory();
/// Seconds since the program started.
double seconds_since_start();

}  // namespace nib

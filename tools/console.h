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

/// Whether people see standard error, and a live line makes sense there.
bool stderr_is_terminal();

/// The largest amount of memory that the process has used, in bytes.
double peak_memory();
/// Of that what it uses now and no file holds, in bytes; 0 where the system does not tell.
double anonymous_memory();
/// Since the program started.
double seconds_since_start();

}  // namespace nib

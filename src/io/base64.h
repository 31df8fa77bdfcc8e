// Base64 (RFC 4648), as JSON files hold bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nib {

/// With padding and without line ends.
std::string to_base64(std::string_view bytes);

/// The bytes; nothing for a text that is not base64 in that form.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace nib

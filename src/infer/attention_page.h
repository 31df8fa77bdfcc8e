// A view of a text as one HTML page that needs nothing else.
#pragma once

#include <cstdint>
#include <string>

#include "infer/attention_map.h"
#include "text/tokenizer.h"

namespace nib {

/// A token for people: its text or, of bytes that are not UTF-8, their values as in "\xE2"; its number if it has no text.
std::string token_label(const Tokenizer& tokenizer, int32_t id);

/// The page. `title`: what it is headed with, the model's name.
std::string attention_page(const std::string& title, const TextView& view, const Tokenizer& tokenizer);

}  // namespace nib

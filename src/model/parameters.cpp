#include "model/parameters.h"

#include <charconv>

namespace nib {

int64_t block_of(std::string_view parameter) {
    const size_t at = parameter.find("blk.");
    if (at == std::string_view::npos) return -1;
    int64_t number = -1;
    std::from_chars(parameter.data() + at + 4, parameter.data() + parameter.size(), number);
    return number;
}

bool is_embedding(std::string_view parameter) {
    return parameter.find("embd") != std::string_view::npos || parameter.starts_with("token_types");
}

}  // namespace nib

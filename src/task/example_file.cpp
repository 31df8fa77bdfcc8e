#include "task/example_file.h"

#include <charconv>
#include <cmath>

namespace nib {

double label_number(const std::string& label) {
    double number = 0;
    const char* const end = label.data() + label.size();
    const auto [stop, error] = std::from_chars(label.data(), end, number);
    if (error != std::errc() || stop != end || !std::isfinite(number))
        fail("the label \"%s\" is not a number", printable(label, 40).c_str());
    return number;
}

}  // namespace nib

// Ends a stream of text where a stop string appears.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nib {

class StopFilter {
public:
    /// Error when a string is empty.
    explicit StopFilter(std::vector<std::string> strings);

    /// Adds a piece and returns the text that can now be shown: everything up to the first stop string, without a suffix
    /// that may become one. Nothing after a stop string.
    std::string push(std::string_view piece);
    /// Ends the text; returns what was held back.
    std::string finish();
    bool stopped() const { return stopped_; }

private:
    std::vector<std::string> strings_;
    std::string held_;
    bool stopped_ = false;
};

}  // namespace nib

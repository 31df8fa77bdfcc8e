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

    /// The text that can be shown with this piece: everything up to the first stop string, except an end that may become
    /// one. After a stop string: nothing.
    std::string push(std::string_view piece);
    /// Ends the text: what was held back.
    std::string finish();
    bool stopped() const { return stopped_; }

private:
    std::vector<std::string> strings_;
    std::string held_;
    bool stopped_ = false;
};

}  // namespace nib

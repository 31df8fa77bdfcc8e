#include "infer/stop_filter.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace nib {

StopFilter::StopFilter(std::vector<std::string> strings) : strings_(std::move(strings)) {
    for (const std::string& s : strings_)
        if (s.empty()) fail_usage_option("stop", "is empty; it would stop at once");
}

std::string StopFilter::push(std::string_view piece) {
    if (stopped_) return "";
    held_ += piece;
    size_t end = std::string::npos;
    for (const std::string& s : strings_) end = std::min(end, held_.find(s));
    stopped_ = end != std::string::npos;
    if (!stopped_) {
        end = held_.size();
        for (const std::string& s : strings_)  // the longest suffix of the text that is a prefix of a stop string
            for (size_t n = std::min(s.size() - 1, held_.size()); n > held_.size() - end; --n)
                if (std::string_view(held_).substr(held_.size() - n) == std::string_view(s).substr(0, n))
                    end = held_.size() - n;
    }
    std::string text = held_.substr(0, end);
    held_.erase(0, stopped_ ? std::string::npos : end);
    return text;
}

std::string StopFilter::finish() { return std::exchange(held_, {}); }

}  // namespace nib

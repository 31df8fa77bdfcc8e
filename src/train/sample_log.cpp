#include "train/sample_log.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/read_file.h"

namespace nib {
namespace {

constexpr std::string_view kHeading = "## Step ";
constexpr size_t kLargest = size_t{1} << 28;  // bytes that are read back

// As a quotation, so that no text is taken for a heading.
std::string quotation(std::string_view text) {
    std::string all;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        all += "> " + std::string(text.substr(at, end - at)) + "\n";
        at = end + 1;
    }
    return all;
}

}  // namespace

void SampleLog::resume(int64_t step) {
    std::error_code error;
    if (!std::filesystem::exists(path_, error)) return;
    const std::string text = read_file(path_, kLargest);
    for (size_t at = text.find(kHeading); at < text.size();) {
        const size_t next = text.find("\n" + std::string(kHeading), at),
                     end = next == std::string::npos ? text.size() : next + 1;
        int64_t of = -1;
        const char* const number = text.data() + at + kHeading.size();
        std::from_chars(number, text.data() + end, of);
        if (of >= 0 && of <= step) sections_.emplace_back(of, text.substr(at, end - at));
        at = end;
    }
}

void SampleLog::add(int64_t step, const std::vector<Sample>& samples) {
    if (samples.empty()) return;
    std::string text = std::string(kHeading) + std::to_string(step) + "\n\n";
    for (const Sample& sample : samples)
        text += quotation(sample.prompt) + strprintf("\nreward %.4g:\n\n", sample.reward) + quotation(sample.answer) + "\n";
    sections_.emplace_back(step, std::move(text));
}

void SampleLog::write() const {
    if (sections_.empty()) return;
    std::string text = "# Answers to the same prompts\n\n";
    for (const auto& section : sections_) text += section.second;
    write_file_atomically(path_, text);
}

}  // namespace nib

// NAME.samples.md: what a policy answers to the same prompts as it learns, for people to read.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "task/task.h"

namespace nib {

class SampleLog {
public:
    explicit SampleLog(std::string path) : path_(std::move(path)) {}

    /// Takes over what the file has of steps up to this one, if there is a file. Error when it cannot be read.
    void resume(int64_t step);
    void add(int64_t step, const std::vector<Sample>& samples);
    /// Writes the file if there is something in it; it is never seen half written. Error when that fails.
    void write() const;

private:
    std::string path_;
    std::vector<std::pair<int64_t, std::string>> sections_;  // by step, in order
};

}  // namespace nib

// Records of a file that are wrong: an Error, or passed over and counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace nib {

class BadRecords {
public:
    /// Whether to pass over them.
    explicit BadRecords(bool skip) : skip_(skip) {}

    /// Throws the error, which says where the record is, or counts it.
    void refuse(const Error& error) {
        if (!skip_) throw error;
        ++count_;
        if (reasons_.size() < kReasons) reasons_.emplace_back(error.what());
    }

    uint64_t count() const { return count_; }
    /// What is wrong with the first few.
    const std::vector<std::string>& reasons() const { return reasons_; }

private:
    static constexpr size_t kReasons = 3;

    bool skip_;
    uint64_t count_ = 0;
    std::vector<std::string> reasons_;
};

}  // namespace nib

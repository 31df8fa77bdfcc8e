// A Vulkan device for tests, watched by the Khronos validation layer: any message of its fails the test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "test_errors.h"
#include "vulkan/backend.h"
#include "vulkan/devices.h"

namespace nib::test {

// A backend on a software device, or what there is. Made once: drivers take their time to start.
class Vulkan : public testing::Test {
protected:
    static void SetUpTestSuite() {
        // LeakSanitizer knows whose memory it is only while the driver is loaded.
        if (static Backend* kept = nullptr; kept == nullptr)
            error_of([&] { kept = vulkan::open_backend(-1, [](const char*) {}).release(); });
        const vulkan::DeviceList list = vulkan::list_devices();
        const auto software =
            std::find_if(list.devices.begin(), list.devices.end(), [](const auto& d) { return d.software; });
        if (list.devices.empty()) {
            problem_ = list.problem.empty() ? "there is no Vulkan device" : list.problem;
            return;
        }
        device_ = software == list.devices.end() ? 0 : static_cast<int>(software - list.devices.begin());
        try {
            backend_ = open();
        } catch (const Error& error) {
            problem_ = error.what();
        }
    }
    static void TearDownTestSuite() {
        backend_.reset();
        EXPECT_EQ(messages_, "") << "when the backend was closed";
    }
    void SetUp() override {
        if (!backend_) GTEST_SKIP() << "not tested: " << problem_;
    }
    void TearDown() override { EXPECT_EQ(std::exchange(messages_, ""), ""); }
    static Backend& backend() { return *backend_; }
    static std::unique_ptr<Backend> open(const vulkan::Overrides& overrides = {}) {
        return vulkan::open_backend(device_, note, overrides);
    }
    static void note(const char* text) { messages_ += std::string(text) + "\n"; }

    static inline int device_ = -1;

private:
    static inline std::unique_ptr<Backend> backend_;
    static inline std::string messages_, problem_;
};

/// |got - expected| / |expected|.
inline double relative_l2(std::span<const float> got, std::span<const float> expected) {
    double error = 0, squares = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        error += std::pow(static_cast<double>(got[i]) - expected[i], 2);
        squares += std::pow(static_cast<double>(expected[i]), 2);
    }
    return std::sqrt(error / squares);
}

}  // namespace nib::test

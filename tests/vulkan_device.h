// A Vulkan device for tests, watched by the Khronos validation layer: any message of its fails the test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "test_errors.h"
#include "vulkan/backend.h"
#include "vulkan/devices.h"

namespace nib::test {

// A software device, or what there is.
class VulkanDevice : public testing::Test {
protected:
    static void SetUpTestSuite() {
        // LeakSanitizer knows whose memory it is only while the driver is loaded.
        if (static Backend* kept = nullptr; kept == nullptr)
            problem_ = error_of([&] { kept = vulkan::open_backend(vulkan::kBest, [](const char*) {}).release(); });
        const vulkan::DeviceList list = vulkan::list_devices();
        const auto found = std::find_if(list.devices.begin(), list.devices.end(), [](const auto& d) { return d.software; });
        software_ = found != list.devices.end();
        device_ = software_ ? static_cast<int>(found - list.devices.begin()) : 0;
    }
    void SetUp() override {
        if (!problem_.empty()) GTEST_SKIP() << "not tested: " << problem_;
    }
    void TearDown() override { EXPECT_EQ(std::exchange(messages_, ""), ""); }
    static std::unique_ptr<Backend> open(const vulkan::Overrides& overrides = {}, vulkan::ShaderStore store = {},
                                         int index = device_) {
        return vulkan::open_backend(
            index, [](const char* text) { messages_ += std::string(text) + "\n"; }, overrides, std::move(store));
    }

    static inline int device_ = 0;
    static inline bool software_ = false;
    static inline std::string problem_, messages_;
};

// Backends on it: as it is, and one without subgroup arithmetic. Made once: drivers take their time to start.
class Vulkan : public VulkanDevice {
protected:
    static void TearDownTestSuite() {
        for (auto& backend : backends_) backend.reset();
        EXPECT_EQ(std::exchange(messages_, ""), "") << "when the backends were closed";
    }
    static Backend& backend(bool subgroup_arithmetic = true) {
        auto& backend = backends_[subgroup_arithmetic];
        if (!backend) backend = open({.subgroup_arithmetic = subgroup_arithmetic});
        return *backend;
    }

private:
    static inline std::unique_ptr<Backend> backends_[2];
};

}  // namespace nib::test

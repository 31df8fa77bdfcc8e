// The message of an Error, and what it must say.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"

#define EXPECT_MENTIONS(message, part) EXPECT_PRED_FORMAT2(testing::IsSubstring, part, message)

namespace nib::test {

// The message of the Error that `action` throws, one line; "" if it throws none.
template <class Action>
std::string error_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        const std::string message = error.what();
        EXPECT_EQ(message.find('\n'), std::string::npos) << message;
        return message;
    }
    return "";
}

// What the Error that `action` throws says would help.
template <class Action>
Remedy remedy_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.remedy();
    }
    ADD_FAILURE() << "no error";
    return Remedy::None;
}

inline void expect_contains(const std::string& message, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) EXPECT_MENTIONS(message, part);
}

}  // namespace nib::test

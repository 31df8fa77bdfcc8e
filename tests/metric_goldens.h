// The golden scores (tests/goldens/make_metric_goldens.py).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test_files.h"

namespace nib::test {

using Texts = std::vector<std::string>;

inline const nlohmann::json& metric_cases(const char* name) {
    static const auto all = nlohmann::json::parse(read_file(golden("metric_cases.json")));
    return all.at(name);
}

}  // namespace nib::test

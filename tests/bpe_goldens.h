// The golden byte-level BPE tokenizer (tests/goldens/make_bpe_goldens.py) and its files.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test_files.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_files.h"

namespace nib::test {

using Ids = std::vector<int32_t>;

inline const nlohmann::json& golden_tokenizer() {
    static const nlohmann::json tokenizer = nlohmann::json::parse(read_file(golden("bpe_tokenizer.json")));
    return tokenizer;
}

inline std::unique_ptr<Tokenizer> parse_files(const std::map<std::string, std::string>& files) {
    return parse_tokenizer({files.begin(), files.end()}, "folder");
}

inline std::unique_ptr<Tokenizer> parse_whole(const nlohmann::json& tokenizer) {
    return parse_files({
        {"tokenizer.json", tokenizer.dump()}
    });
}

// The golden tokenizer as vocab.json and merges.txt.
inline std::map<std::string, std::string> old_files() {
    const nlohmann::json& model = golden_tokenizer()["model"];
    std::string merges = "#version: 0.2\n";
    for (const nlohmann::json& pair : model["merges"])
        merges += pair[0].get<std::string>() + " " + pair[1].get<std::string>() + "\n";
    return {
        {"vocab.json", model["vocab"].dump()},
        {"merges.txt", merges               }
    };
}

inline const PipelineTokenizer& pipeline(const std::unique_ptr<Tokenizer>& tokenizer) {
    return dynamic_cast<const PipelineTokenizer&>(*tokenizer);
}

}  // namespace nib::test

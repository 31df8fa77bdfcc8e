// What a tokenizer does to a text before it cuts it: Unicode normalization, lower case, accents, replacing.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

class Normalizer {
public:
    /// The steps of a TokenizerSpec. `symbols`: texts that SentencePiece's step leaves as they are. Error for an option
    /// that makes no sense.
    explicit Normalizer(const std::string& steps, const std::vector<std::string>& symbols = {});

    /// Whether it leaves every text as it is.
    bool empty() const { return steps_.empty(); }

    /// The text, which is UTF-8, after all steps.
    std::string operator()(std::string_view text) const;

private:
    std::vector<std::function<std::string(std::string_view)>> steps_;
};

}  // namespace nib

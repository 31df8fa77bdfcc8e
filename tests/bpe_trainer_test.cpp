// Training byte-pair encoding: the merges of `tokenizers` (goldens), and the written rule (src/text/bpe_trainer.h) followed
// slowly.
#include "text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test_errors.h"
#include "test_files.h"
#include "text/byte_alphabet.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_training.h"
#include "text/utf8.h"

namespace nib {
namespace {

using nlohmann::json;

using Counts = std::map<std::string, uint64_t>;
using Words = std::vector<std::string>;

void no_progress(uint64_t, uint64_t) {}

Words characters_of(const std::string& text) {
    Words all;
    for (size_t at = 0; at < text.size(); at += all.back().size())
        all.push_back(text.substr(at, static_cast<size_t>(decode_utf8(text, at).length)));
    return all;
}

// ---- the rule, with nothing that makes it fast ------------------------------------------------------------------------

class SlowTrainer {
public:
    explicit SlowTrainer(const BpeTraining& options) : options_(options) {}

    TrainedBpe run(const Counts& words) {
        for (const std::string& special : options_.specials) id_of(special, 0);
        const Words letters = alphabet(words);
        for (const std::string& letter : letters) id_of(letter, 1);
        for (const auto& [word, count] : words) {
            counts_.push_back(static_cast<int64_t>(count));
            words_.push_back(symbols_of(word, {letters.begin(), letters.end()}));
        }
        for (size_t word = 0; word < words_.size(); ++word)
            for (size_t i = 0; i + 1 < words_[word].size(); ++i) add(words_[word][i], words_[word][i + 1], word);
        new_candidates();
        std::vector<std::pair<int32_t, int32_t>> merges;
        while (std::ssize(tokens_) < options_.size) {
            const auto best = std::max_element(candidates_.begin(), candidates_.end(), comes_later);
            if (best == candidates_.end()) break;
            const int64_t count = pairs_[best->pair];
            if (std::exchange(best->seen, count) != count) continue;
            if (count < 1 || count < static_cast<int64_t>(options_.least_count)) break;
            const Candidate taken = *best;
            candidates_.erase(best);
            std::erase(merges, taken.pair);
            merges.push_back(taken.pair);
            merge(taken);
            new_candidates();
        }
        return {tokens_, merges};
    }

private:
    struct Candidate {
        std::pair<int32_t, int32_t> pair;
        std::set<size_t> words;
        int64_t seen;
    };

    static bool comes_later(const Candidate& a, const Candidate& b) {
        return a.seen != b.seen ? a.seen < b.seen : a.pair > b.pair;
    }

    int32_t id_of(const std::string& text, size_t length) {
        const auto found = std::find(tokens_.begin(), tokens_.end(), text);
        if (found != tokens_.end()) return static_cast<int32_t>(found - tokens_.begin());
        tokens_.push_back(text);
        lengths_.push_back(length);
        return static_cast<int32_t>(tokens_.size() - 1);
    }

    Words characters(const std::string& word) const {
        return characters_of(options_.byte_level ? spell_bytes(word) : word);
    }

    Words alphabet(const Counts& words) const {
        Counts counts;
        if (options_.byte_level)
            for (int byte = 0; byte < 256; ++byte) counts[spell_bytes(std::string(1, static_cast<char>(byte)))] = 0;
        for (const auto& [word, count] : words)
            for (const std::string& letter : characters(word)) counts[letter] += count;
        std::vector<std::pair<int64_t, std::string>> order;
        for (const auto& [letter, count] : counts) order.emplace_back(-static_cast<int64_t>(count), letter);
        std::sort(order.begin(), order.end());
        if (!options_.byte_level && options_.largest_alphabet > 0 && std::ssize(order) > options_.largest_alphabet)
            order.resize(static_cast<size_t>(options_.largest_alphabet));
        std::set<std::string> kept;
        for (const auto& [count, letter] : order) kept.insert(letter);
        return {kept.begin(), kept.end()};
    }

    std::vector<int32_t> symbols_of(const std::string& word, const std::set<std::string>& letters) {
        std::vector<int32_t> symbols;
        const Words all = characters(word);
        for (size_t i = 0; i < all.size(); ++i)
            if (letters.contains(all[i]))
                symbols.push_back(id_of(
                    (i > 0 ? options_.continuing_prefix : "") + all[i] + (i + 1 == all.size() ? options_.word_suffix : ""),
                    1));
        return symbols;
    }

    void add(int32_t left, int32_t right, size_t word) {
        pairs_[{left, right}] += counts_[word];
        fresh_[{left, right}].insert(word);
    }

    void new_candidates() {
        for (const auto& [pair, words] : fresh_)
            if (pairs_[pair] > 0) candidates_.push_back({pair, words, pairs_[pair]});
        fresh_.clear();
    }

    void merge(const Candidate& candidate) {
        const auto [left, right] = candidate.pair;
        const auto text = [&](int32_t id) { return tokens_[static_cast<size_t>(id)]; };
        const auto length = [&](int32_t id) { return lengths_[static_cast<size_t>(id)]; };
        std::string rest = text(right);
        if (rest.starts_with(options_.continuing_prefix)) rest.erase(0, options_.continuing_prefix.size());
        const int32_t merged = id_of(text(left) + rest, length(left) + length(right));
        const auto fits = [&](int32_t a, int32_t b) {
            return options_.max_token_length == 0 ||
                   static_cast<int64_t>(length(a) + length(b)) < options_.max_token_length;
        };
        for (const size_t number : candidate.words) {
            std::vector<int32_t>& word = words_[number];
            for (size_t i = 0; i + 1 < word.size(); ++i) {
                if (word[i] != left || word[i + 1] != right) continue;
                word.erase(word.begin() + static_cast<ptrdiff_t>(i));
                word[i] = merged;
                if (i > 0) {
                    pairs_[{word[i - 1], left}] -= counts_[number];
                    if (fits(word[i - 1], merged)) add(word[i - 1], merged, number);
                }
                if (i + 1 < word.size()) {
                    pairs_[{right, word[i + 1]}] -= counts_[number];
                    if (fits(merged, word[i + 1])) add(merged, word[i + 1], number);
                }
            }
        }
    }

    const BpeTraining& options_;
    Words tokens_;
    std::vector<size_t> lengths_;
    std::vector<std::vector<int32_t>> words_;
    std::vector<int64_t> counts_;
    std::map<std::pair<int32_t, int32_t>, int64_t> pairs_;
    std::map<std::pair<int32_t, int32_t>, std::set<size_t>> fresh_;
    std::vector<Candidate> candidates_;
};

std::vector<CountedWord> in_order(const Counts& words) {
    std::vector<CountedWord> list;
    for (const auto& [text, count] : words) list.push_back({text, count});
    return list;
}

void expect_same(const BpeTraining& options, const Counts& words) {
    const TrainedBpe fast = train_bpe(in_order(words), options, no_progress);
    const TrainedBpe slow = SlowTrainer(options).run(words);
    EXPECT_EQ(fast.tokens, slow.tokens);
    EXPECT_EQ(fast.merges, slow.merges);
}

// Words of few characters meet everything: long runs, tokens made in several ways, equal counts.
Counts hard_words(std::mt19937& random) {
    const Words alphabets = {"a", "ab", "aab", "xé你😀", "#a</w>", "12345"};
    const auto pick = [&](size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random); };
    const Words alphabet = characters_of(alphabets[pick(alphabets.size())]);
    Counts words;
    for (size_t i = 0, count = 1 + pick(40); i < count; ++i) {
        std::string word;
        for (size_t k = 0, length = 1 + pick(24); k < length; ++k) word += alphabet[pick(alphabet.size())];
        words[word] += 1 + pick(5);
    }
    return words;
}

TEST(BpeTrainer, FollowsTheRuleOnHardWords) {
    std::mt19937 random(1);
    for (int round = 0; round < 300; ++round) {
        const auto words = hard_words(random);
        BpeTraining options{.size = 40 + round % 30, .least_count = 1 + static_cast<uint64_t>(round % 3)};
        options.max_token_length = round % 4 == 1 ? 3 + round % 7 : 0;
        if (round % 3 == 0) options.byte_level = true, options.size += 256;
        if (round % 3 == 1) options.continuing_prefix = "##";
        if (round % 3 == 2) options.word_suffix = "</w>";
        if (round % 5 == 0) options.specials = {"[UNK]", "aa"};
        if (round % 7 == 0) options.largest_alphabet = 1 + round % 4;
        SCOPED_TRACE(round);
        expect_same(options, words);
    }
}

TEST(BpeTrainer, CountsHave64Bits) {
    const uint64_t many = uint64_t{1} << 40;
    const Counts words = {
        {"ab", many    },
        {"cd", many + 1},
        {"ef", 3       }
    };
    const TrainedBpe trained = train_bpe(in_order(words), {.size = 8, .least_count = 4}, no_progress);
    EXPECT_EQ(trained.tokens, (Words{"a", "b", "c", "d", "e", "f", "cd", "ab"}));
}

TEST(BpeTrainer, TakesNoLongerForOneLongWord) {
    const std::string word(2'000'000, 'a');
    Counts words;
    words[word] = 1;
    const TrainedBpe trained = train_bpe(in_order(words), {.size = 40}, no_progress);
    EXPECT_EQ(trained.tokens[1], "aa");
    EXPECT_GT(trained.tokens.back().size(), 100'000U);
}

TEST(BpeTrainer, TheAlphabetMustFit) {
    Counts words;
    words["abc"] = 1;
    const auto train = [&](int64_t size) {
        return train_bpe(in_order(words), {.size = size, .specials = {"<s>"}}, no_progress);
    };
    EXPECT_EQ(train(4).tokens.size(), 4U);
    EXPECT_MENTIONS(test::error_of([&] { train(3); }),
                    "size is 3, but the special tokens and the alphabet alone are 4 tokens");
}

// ---- merges of tokenizers ----------------------------------------------------------------------------------------------

TEST(BpeTrainer, MergesAreThoseOfTokenizers) {
    const json golden = json::parse(test::read_file(test::golden("training_cases.json")));
    const test::TempFolder folder;
    for (const json& test_case : golden["cases"]) {
        SCOPED_TRACE(test_case["text"].get<std::string>() + ", " + test_case["split"].get<std::string>());
        Words paths;
        for (const std::string text : golden["texts"][test_case["text"].get<std::string>()]) {
            paths.push_back((folder / std::to_string(paths.size())).string());
            test::write_file(paths.back(), text);
        }
        TokenizerTraining options;
        options.split = test_case["split"] == "gpt2" ? TokenizerTraining::Split::Gpt2 : TokenizerTraining::Split::Llama3;
        options.size = test_case["size"];
        options.min_frequency = test_case["min_frequency"];
        options.max_token_length = test_case["max_token_length"];
        options.specials = test_case["specials"].get<Words>();
        options.threads = 2;
        TextSource source(paths);
        const auto trained = train_tokenizer(source, options, [](const char*, uint64_t, uint64_t) {});
        EXPECT_EQ(dynamic_cast<const PipelineTokenizer&>(*trained).spec().merges, test_case["merges"].get<Words>());
    }
}

}  // namespace
}  // namespace nib

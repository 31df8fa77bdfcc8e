// Running models: the cache against evaluation from scratch, samples, context shifts, evaluation, model files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "cpu/backend.h"
#include "gpt_case.h"
#include "infer/evaluate.h"
#include "infer/generate.h"
#include "infer/session.h"
#include "model/loaded_model.h"
#include "ref/kernels.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/tokenizer_gguf.h"
#include "text/utf8.h"

namespace nib {
namespace {

using namespace test;

constexpr int64_t kContext = 40;  // more than the small prefill plan, less than the large one

ModelConfig tiny_config(int64_t context = kContext) {
    ModelConfig c;
    c.layers = 2;
    c.heads = 2;
    c.embd = 16;
    c.context = context;
    c.vocab = 23;
    c.tied = false;
    return c;
}

std::vector<float> random_values(int64_t count, std::mt19937& random, float scale, float mean) {
    std::normal_distribution<float> normal(mean, scale);
    std::vector<float> values(static_cast<size_t>(count));
    for (float& x : values) x = normal(random);
    return values;
}

// A model of random weights in memory, on the reference kernels.
class SessionTest : public ::testing::Test {
protected:
    explicit SessionTest(int64_t context = kContext) : config_(tiny_config(context)) {
        std::mt19937 random(1);
        weights_ = place_weights(config_, [&](const ParameterSpec& spec) {
            const bool gain = spec.init == ParameterSpec::Init::One;
            const auto values = random_values(spec.shape.elements(), random, gain ? 0.1f : 0.4f, gain ? 1.0f : 0.0f);
            Weight w;
            w.name = spec.name;
            w.shape = spec.shape;
            w.value.buffer = backend_.allocate(values.size() * sizeof(float));
            backend_.upload(w.value, std::as_bytes(std::span(values)));
            return w;
        });
        std::vector<char32_t> letters;
        for (char32_t c = U'a'; c < U'a' + static_cast<char32_t>(config_.vocab); ++c) letters.push_back(c);
        tokenizer_ = std::make_unique<CharTokenizer>(CharTokenizer::from_code_points(letters));
    }

    std::vector<int32_t> random_ids(size_t count, unsigned seed = 2) const {
        std::mt19937 random(seed);
        std::vector<int32_t> ids(count);
        for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<unsigned>(config_.vocab));
        return ids;
    }

    // Logits (T,V) by a plan without a cache.
    std::vector<float> direct_logits(const std::vector<int32_t>& ids) {
        return LogitsGraph(backend_, config_, weights_, 1, static_cast<int64_t>(ids.size())).run(ids);
    }

    // The rows of `expected` (T,V) after token t.
    std::span<const float> row(const std::vector<float>& logits, size_t t) const {
        const auto V = static_cast<size_t>(config_.vocab);
        return std::span(logits).subspan(t * V, V);
    }

    static void expect_near(std::span<const float> expected, std::span<const float> actual) {
        ASSERT_EQ(expected.size(), actual.size());
        for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(expected[i], actual[i], 1e-5) << i;
    }

    GenerateResult write(Session& session, const std::vector<int32_t>& prompt, const GenerateOptions& options,
                         std::vector<std::string>& texts) const {
        texts.assign(static_cast<size_t>(session.sequences()), "");
        return generate(session, *tokenizer_, prompt, options, [&](size_t s, std::string_view text) { texts[s] += text; });
    }

    CpuBackend backend_{ref::table, 2};
    ModelConfig config_;
    Weights weights_;
    std::unique_ptr<CharTokenizer> tokenizer_;
};

class LongSessionTest : public SessionTest {
protected:
    LongSessionTest() : SessionTest(300) {}
};

TEST_F(SessionTest, DecodingEqualsEvaluationFromScratch) {
    const std::vector<int32_t> ids = random_ids(kContext);
    const std::vector<float> expected = direct_logits(ids);
    Session session(backend_, config_, weights_);
    for (size_t t = 0; t < ids.size(); ++t) {
        expect_near(row(expected, t), session.decode(std::span(ids).subspan(t, 1)));
        EXPECT_EQ(session.position(), static_cast<int64_t>(t) + 1);
    }
}

TEST_F(SessionTest, PrefillInAnyPieces) {
    const std::vector<int32_t> ids = random_ids(kContext);
    const std::vector<float> expected = direct_logits(ids);
    Session session(backend_, config_, weights_);
    const auto in_pieces = [&](const std::vector<size_t>& sizes) {
        session.reset();
        size_t at = 0;
        for (const size_t n : sizes) {
            const std::span<const float> logits = session.prefill(std::span(ids).subspan(at, n));
            at += n;
            expect_near(row(expected, at - 1), logits);
        }
    };
    in_pieces({40});
    in_pieces({16, 24});
    in_pieces({1, 39});
    in_pieces({39, 1});
    in_pieces({17, 1, 1, 15, 6});
    in_pieces({3, 3, 3, 20});
}

TEST_F(LongSessionTest, PrefillOfSeveralChunks) {
    const std::vector<int32_t> ids = random_ids(300);
    const std::vector<float> expected = direct_logits(ids);
    Session session(backend_, config_, weights_);
    for (const size_t n : {size_t{300}, size_t{270}, size_t{256}, size_t{128}, size_t{129}}) {
        session.reset();
        expect_near(row(expected, n - 1), session.prefill(std::span(ids).first(n)));
    }
    session.reset();
    std::vector<float> all;
    session.all_logits(ids, [&](std::span<const float> rows) { all.insert(all.end(), rows.begin(), rows.end()); });
    expect_near(expected, all);
}

TEST_F(SessionTest, SequencesAreIndependent) {
    const std::vector<int32_t> prompt = random_ids(18);
    Session session(backend_, config_, weights_, 3);
    session.prefill(prompt);
    for (int64_t s = 1; s < 3; ++s) session.copy_to(s);
    std::vector<std::vector<int32_t>> ids(3, prompt);
    for (unsigned step = 0; step < 10; ++step) {
        const std::vector<int32_t> next = random_ids(3, 10 + step);
        const std::span<const float> logits = session.decode(next);
        for (size_t s = 0; s < 3; ++s) {
            ids[s].push_back(next[s]);
            const std::vector<float> expected = direct_logits(ids[s]);
            expect_near(row(expected, ids[s].size() - 1), logits.subspan(s * 23, 23));
        }
    }
}

TEST_F(SessionTest, SamplesEqualSingleOnes) {
    GenerateOptions options;
    options.count = 60;  // past the context
    options.sampler.seed = 3;
    options.sampler.temperature = 1;
    const std::vector<int32_t> prompt = random_ids(5);
    std::vector<std::string> one, three;
    Session single(backend_, config_, weights_), several(backend_, config_, weights_, 3);
    write(single, prompt, options, one);
    const GenerateResult result = write(several, prompt, options, three);
    EXPECT_EQ(one[0], three[0]);
    EXPECT_NE(three[0], three[1]);
    EXPECT_NE(three[1], three[2]);
    EXPECT_EQ(one[0].size(), 60u);
    EXPECT_EQ(result.decoded_tokens, 3 * 59);
    EXPECT_EQ(result.prompt_tokens, 5);
    write(single, prompt, options, three);
    EXPECT_EQ(one, three);  // the same seed, the same text, in a session that was used before
}

// Greedy text by evaluation from scratch, with the rule of the context written out.
TEST_F(SessionTest, PastTheContextTheOldestHalfIsDropped) {
    GenerateOptions options;
    options.count = 100;
    options.sampler.temperature = 0;
    const std::vector<int32_t> prompt = random_ids(7);
    std::vector<int32_t> seen = prompt;
    std::string expected;
    for (int64_t i = 0; i < options.count; ++i) {
        const std::vector<float> logits = direct_logits(seen);
        const std::span<const float> last = row(logits, seen.size() - 1);
        const auto best = static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin());
        expected += tokenizer_->decode(best);
        if (seen.size() == kContext) seen.erase(seen.begin(), seen.begin() + kContext / 2);
        seen.push_back(best);
    }
    for (const int64_t samples : {1, 2}) {
        Session session(backend_, config_, weights_, samples);
        std::vector<std::string> texts;
        write(session, prompt, options, texts);
        for (const std::string& text : texts) EXPECT_EQ(text, expected);
    }
}

TEST_F(SessionTest, OfALongPromptTheEndIsRead) {
    GenerateOptions options;
    options.count = 1;
    options.sampler.temperature = 0;
    const std::vector<int32_t> prompt = random_ids(100);
    Session session(backend_, config_, weights_);
    std::vector<std::string> whole, end;
    EXPECT_EQ(write(session, prompt, options, whole).prompt_tokens, kContext);
    write(session, {prompt.end() - kContext, prompt.end()}, options, end);
    EXPECT_EQ(whole, end);
}

class TinyContextTest : public SessionTest {
protected:
    TinyContextTest() : SessionTest(1) {}
};

TEST_F(TinyContextTest, AContextOfOneTokenStillWrites) {
    GenerateOptions options;
    options.count = 10;
    Session session(backend_, config_, weights_, 2);
    std::vector<std::string> texts;
    write(session, random_ids(3), options, texts);
    EXPECT_EQ(texts[0].size(), 10u);
    EXPECT_EQ(texts[1].size(), 10u);
}

TEST_F(SessionTest, StopStringsEndOneSample) {
    GenerateOptions options;
    options.count = 30;
    options.sampler.temperature = 1;
    const std::vector<int32_t> prompt = random_ids(4);
    Session session(backend_, config_, weights_, 2);
    std::vector<std::string> whole, stopped;
    write(session, prompt, options, whole);
    options.stop = {whole[0].substr(12, 4)};
    const GenerateResult result = write(session, prompt, options, stopped);
    const size_t at = whole[0].find(options.stop[0]);
    EXPECT_EQ(stopped[0], whole[0].substr(0, at));
    EXPECT_TRUE(result.samples[0].stopped);
    EXPECT_EQ(result.samples[0].ids.size(), static_cast<size_t>(at) + 4);
    EXPECT_EQ(stopped[1], whole[1].substr(0, whole[1].find(options.stop[0])));
}

TEST_F(SessionTest, TheEndTokenEndsOneSample) {
    GenerateOptions options;
    options.count = 30;
    options.sampler.temperature = 1;
    const std::vector<int32_t> prompt = random_ids(4);
    Session session(backend_, config_, weights_, 2);
    std::vector<std::string> whole, ended;
    const GenerateResult free = write(session, prompt, options, whole);
    options.end = free.samples[0].ids[11];
    const GenerateResult result = write(session, prompt, options, ended);
    for (size_t s = 0; s < 2; ++s) {
        std::vector<int32_t> expected = free.samples[s].ids;
        const auto end = std::find(expected.begin(), expected.end(), options.end);
        const bool stopped = end != expected.end();
        if (stopped) expected.erase(end + 1, expected.end());
        EXPECT_EQ(result.samples[s].ids, expected);
        EXPECT_EQ(result.samples[s].stopped, stopped);
        EXPECT_EQ(ended[s], whole[s].substr(0, expected.size() - stopped));
    }
    EXPECT_TRUE(result.samples[0].stopped);
}

// Two tokens make one character: what the prompt has begun is shown when it is whole, and never half of it.
TEST_F(SessionTest, CharactersAreWhole) {
    struct HalvesTokenizer : Tokenizer {
        std::vector<int32_t> encode(std::string_view, const EncodeOptions&) const override { return {}; }
        std::string decode(int32_t id) const override { return id % 2 == 0 ? "\xC3" : "\xA9"; }
        int32_t vocab_size() const override { return 23; }
        const char* kind() const override { return "halves"; }
    };
    GenerateOptions options;
    options.count = 60;
    options.sampler.temperature = 3;
    Session session(backend_, config_, weights_);
    std::string shown, bytes = "\xC3";
    const std::vector<int32_t> prompt = {1, 2};
    const GenerateResult result = generate(session, HalvesTokenizer(), prompt, options, [&](size_t, std::string_view text) {
        EXPECT_EQ(find_invalid(text), std::string_view::npos);
        shown += text;
    });
    for (const int32_t id : result.samples[0].ids) bytes += HalvesTokenizer().decode(id);
    Utf8Streamer characters;
    EXPECT_EQ(shown, characters.push(bytes) + characters.finish());
}

TEST_F(SessionTest, NoTokensAreAskedFor) {
    GenerateOptions options;
    options.count = 0;
    Session session(backend_, config_, weights_);
    std::vector<std::string> texts;
    EXPECT_EQ(write(session, random_ids(4), options, texts).samples[0].ids.size(), 0u);
    EXPECT_EQ(texts[0], "");
}

// Every token but the first counts once, whatever the batch and the length of the last window.
TEST_F(SessionTest, EvaluationCountsEveryTokenOnce) {
    for (const size_t size : {size_t{2}, size_t{30}, size_t{41}, size_t{42}, size_t{161}, size_t{200}}) {
        const std::vector<int32_t> text = random_ids(size);
        double loss = 0;
        int64_t correct = 0;
        for (size_t begin = 0; begin + 1 < size; begin += kContext) {
            const size_t n = std::min<size_t>(kContext, size - 1 - begin);
            const auto from = text.begin() + static_cast<std::ptrdiff_t>(begin);
            const std::vector<float> logits = direct_logits({from, from + static_cast<std::ptrdiff_t>(n)});
            for (size_t t = 0; t < n; ++t) {
                const std::span<const float> r = row(logits, t);
                double sum = 0;
                for (const float x : r) sum += std::exp(static_cast<double>(x));
                const auto target = static_cast<size_t>(text[begin + t + 1]);
                loss += std::log(sum) - static_cast<double>(r[target]);
                correct += std::max_element(r.begin(), r.end()) == r.begin() + static_cast<std::ptrdiff_t>(target);
            }
        }
        for (const int64_t batch : {0, 1, 3, 100}) {
            std::vector<int> read(size);
            Evaluator evaluator(backend_, config_, weights_, {static_cast<int64_t>(size)}, {.batch = batch});
            const Evaluation result = evaluator.run(
                [&](int64_t begin, std::span<int32_t> ids) { std::copy_n(text.begin() + begin, ids.size(), ids.begin()); });
            EXPECT_EQ(result.tokens, static_cast<int64_t>(size) - 1);
            EXPECT_EQ(result.correct, correct);
            EXPECT_NEAR(result.loss_sum, loss, 1e-4 * static_cast<double>(size));
        }
    }
}

// With a stride: the windows of Hugging Face's guide to perplexity, written down as it does.
TEST_F(SessionTest, EvaluationWithAStride) {
    const auto T = static_cast<size_t>(config_.context);
    for (const size_t size : {size_t{2}, T - 1, T, T + 1, 2 * T, 2 * T + 1, 3 * T + 7}) {
        const std::vector<int32_t> text = random_ids(size);
        for (const size_t stride : {size_t{1}, size_t{7}, T - 1, T}) {
            double loss = 0;
            int64_t count = 0;
            for (size_t begin = 0, reached = 0; reached < size; begin += stride) {
                const size_t end = std::min(begin + T, size);
                const std::vector<float> logits = direct_logits({text.data() + begin, text.data() + end});
                for (size_t t = std::max(reached, begin + 1); t < end; ++t) {
                    const std::span<const float> r = row(logits, t - 1 - begin);
                    double sum = 0;
                    for (const float x : r) sum += std::exp(static_cast<double>(x));
                    loss += std::log(sum) - static_cast<double>(r[static_cast<size_t>(text[t])]);
                    ++count;
                }
                reached = end;
            }
            Evaluator evaluator(backend_, config_, weights_, {static_cast<int64_t>(size)},
                                {.batch = 3, .stride = static_cast<int64_t>(stride)});
            const Evaluation result = evaluator.run(
                [&](int64_t begin, std::span<int32_t> ids) { std::copy_n(text.begin() + begin, ids.size(), ids.begin()); });
            EXPECT_EQ(result.tokens, count) << size << " by " << stride;
            EXPECT_NEAR(result.loss_sum, loss, 1e-4 * static_cast<double>(size)) << size << " by " << stride;
        }
    }
    EXPECT_THROW(Evaluator(backend_, config_, weights_, {10}, {.stride = config_.context + 1}), Error);
}

// Each as if it were alone, whatever shares a batch with it.
TEST_F(SessionTest, EvaluationOfSeveralTexts) {
    const auto T = static_cast<size_t>(config_.context);
    const std::vector<size_t> sizes = {2, 5, 2 * T + 3, T + 1, 9, T};
    for (const int64_t stride : {0, 7}) {
        std::vector<int32_t> all;
        std::vector<int64_t> ends;
        Evaluation expected;
        for (const size_t size : sizes) {
            const std::vector<int32_t> text = random_ids(size);
            Evaluator alone(backend_, config_, weights_, {static_cast<int64_t>(size)}, {.stride = stride});
            const Evaluation e = alone.run(
                [&](int64_t begin, std::span<int32_t> ids) { std::copy_n(text.begin() + begin, ids.size(), ids.begin()); });
            expected.tokens += e.tokens, expected.loss_sum += e.loss_sum, expected.correct += e.correct;
            all.insert(all.end(), text.begin(), text.end());
            ends.push_back(static_cast<int64_t>(all.size()));
        }
        for (const int64_t batch : {0, 1, 4}) {
            Evaluator evaluator(backend_, config_, weights_, ends, {.batch = batch, .stride = stride});
            const Evaluation result = evaluator.run(
                [&](int64_t begin, std::span<int32_t> ids) { std::copy_n(all.begin() + begin, ids.size(), ids.begin()); });
            EXPECT_EQ(result.tokens, expected.tokens);
            EXPECT_EQ(result.correct, expected.correct);
            EXPECT_NEAR(result.loss_sum, expected.loss_sum, 1e-4 * static_cast<double>(all.size()));
        }
    }
}

TEST_F(SessionTest, MemoryIsKnownBeforeItIsTaken) {
    EXPECT_EQ(Session::cache_bytes(config_, 3),
              static_cast<double>(3 * 2 * config_.layers * config_.context * config_.embd * 4));
    EXPECT_THROW(Session(backend_, config_, weights_, int64_t{1} << 60), Error);
    Evaluator fits(backend_, config_, weights_, {1000}, {.batch = 2, .memory = 1e9});
    EXPECT_THROW(Evaluator(backend_, config_, weights_, {1000}, {.batch = 2, .memory = 1000}), Error);
}

class ModelFileTest : public SessionTest {
protected:
    // The model as a file, changed by `change` before it is written.
    template <class Change>
    std::string file(const Change& change, const std::string& skip = "") const {
        GgufWriter writer;
        write_config(writer, config_, "test");
        write_tokenizer(writer, *tokenizer_);
        change(writer);
        for (const ParameterSpec& spec : model_parameters(config_)) {
            if (spec.name == skip) continue;
            const std::vector<int64_t> shape(spec.shape.dims.begin(), spec.shape.dims.begin() + spec.shape.rank);
            writer.add(spec.name, DType::F32, shape, [this, spec](const GgufWriter::Sink& sink) {
                std::vector<std::byte> bytes(static_cast<size_t>(spec.shape.elements()) * sizeof(float));
                backend_.download(place(spec.name), bytes);
                sink(bytes);
            });
        }
        const std::string path = (folder_ / "model.gguf").string();
        AtomicFile out(path);
        writer.write(out);
        out.publish();
        return path;
    }

    Location place(const std::string& name) const {
        Location found;
        place_weights(config_, [&, i = size_t{0}](const ParameterSpec& spec) mutable {
            if (spec.name == name) found = {static_cast<int>(i), 0};  // one buffer each, in this order
            ++i;
            return Weight{};
        });
        return found;
    }

    template <class Change>
    std::string error_of(const Change& change, const std::string& skip = "") {
        const std::string path = file(change, skip);
        const std::string message = test::error_of([&] { LoadedModel(path, backend_); });
        if (!message.empty()) {
            EXPECT_MENTIONS(message, path);
        }
        return message;
    }

    TempFolder folder_;
};

TEST_F(ModelFileTest, RunsInPlace) {
    const LoadedModel model(file([](GgufWriter&) {}), backend_);
    config_.ffn = config_.feed_forward();  // a file always says it
    EXPECT_EQ(model.config(), config_);
    EXPECT_EQ(model.tokenizer().vocab_size(), config_.vocab);
    EXPECT_STREQ(model.tokenizer().kind(), "char");
    EXPECT_EQ(model.tokenizer().encode("cab"), (std::vector<int32_t>{2, 0, 1}));
    const std::vector<int32_t> ids = random_ids(20);
    Session session(backend_, model.config(), model.weights());
    const std::vector<float> expected = direct_logits(ids);
    expect_near(row(expected, 19), session.prefill(ids));
}

TEST_F(ModelFileTest, SaysWhatIsWrong) {
    const auto has = [](const std::string& message, const char* part) {
        EXPECT_NE(message.find(part), std::string::npos) << message;
    };
    has(error_of([](GgufWriter&) {}, "blk.1.ffn_up.bias"), "blk.1.ffn_up.bias");
    has(error_of([](GgufWriter& w) { w.set("general.architecture", std::string("llama")); }), "llama");
    has(error_of([](GgufWriter& w) { w.set("nib.tokenizer", std::string("bpe")); }), "bpe");
    has(error_of([](GgufWriter& w) { w.set("gpt2.context_length", uint32_t{41}); }), "position_embd.weight");
    has(error_of([](GgufWriter& w) { w.set("gpt2.attention.head_count", uint32_t{3}); }), "heads");
    for (const int64_t ffn : {int64_t{0}, int64_t{-4}, int64_t{1} << 40})
        has(error_of([&](GgufWriter& w) { w.set("gpt2.feed_forward_length", ffn); }), std::to_string(ffn).c_str());
    has(error_of([](GgufWriter& w) { w.set("gpt2.block_count", int32_t{-1}); }), "`gpt2.block_count` is -1");
    has(error_of([](GgufWriter& w) { w.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"}); }), "2 tokens");
    has(error_of([](GgufWriter& w) { w.set("tokenizer.ggml.tokens", uint32_t{1}); }), "tokenizer.ggml.tokens");
}

}  // namespace
}  // namespace nib

// Translation: pairs of texts and which tokens they become, and a Transformer that learns to reverse.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "core/philox.h"
#include "infer/beam.h"
#include "model/families.h"
#include "model/loaded_model.h"
#include "reader_case.h"
#include "task/pair_text.h"
#include "text/tokenizer_gguf.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

struct PairsTest : TinyTraining {
    std::string path(const std::string& name) const { return (folder_ / name).string(); }
    // All pairs, "source>target@number", with ";" between them.
    std::string read(PairFiles files, uint64_t* passed_over = nullptr) const {
        PairReader reader(std::move(files));
        std::string all;
        for (Example pair; reader.next(pair);)
            all += pair.texts[0] + ">" + pair.texts[1] + "@" + std::to_string(pair.number) + ";";
        if (passed_over != nullptr) *passed_over = reader.passed_over();
        return all;
    }
    std::string error_of_files(const PairFiles& files) const {
        return test::error_of([&] { read(files); });
    }
    TrainRequest translation(const std::string& name, const std::vector<std::string>& inputs) const {
        TrainRequest r = request(name);
        r.inputs.clear();
        for (const std::string& input : inputs) r.inputs.push_back(path(input));
        r.options.arch = "transformer";
        return r;
    }
    std::string error_of_pairs(const std::string& text, const std::string& name = "pairs.tsv") {
        put(name, text);
        return error_of(translation("m", {name}));
    }
    // Numbers and their digits in reverse.
    void put_numbers() const {
        std::string table, first, second;
        for (int i = 0; i < 80; ++i) {
            const std::string number = std::to_string(i * 7919 % 10007), back(number.rbegin(), number.rend());
            table += number + "\t" + back + "\n";
            first += number + "\n", second += back + "\n";
        }
        put("numbers.tsv", table), put("numbers.a", first), put("numbers.b", second);
    }
};

TEST_F(PairsTest, AreReadFromTables) {
    put("a.tsv", "one\teins\ntwo\tzwei\n\t \n");
    put("b.csv", "id,de,en\n1,\"drei, vier\",three\n");
    put("c.jsonl", R"({"source":"four","target":"vier"})"
                   "\n");
    EXPECT_EQ(read({
                  .first = {path("a.tsv"), path("c.jsonl")}
    }),
              "one>eins@1;two>zwei@2;four>vier@1;");
    EXPECT_EQ(read({
                  .first = {path("b.csv")},
                    .columns = { "en", "de", {}}
    }),
              "three>drei, vier@2;");
    EXPECT_EQ(read({
                  .first = {path("b.csv")},
                    .columns = { "3", "2", {}, false, true}
    }),
              "en>de@1;three>drei, vier@2;");
    EXPECT_EQ(read({
                  .first = {path("a.tsv")},
                    .columns = { {}, {}, {}, true}
    }),
              "two>zwei@2;");
    fs::create_directory(folder_ / "more");
    put("more/d.tsv.gz", gzip("five\tfünf\n"));
    EXPECT_EQ(read({.first = {path("more")}}), "five>fünf@1;");
}

TEST_F(PairsTest, AreReadFromParallelFiles) {
    put("x.en", "one\n\ntwo\r\n");
    put("x.de.gz", gzip("eins\n\nzwei"));
    EXPECT_EQ(read({.first = {path("x.en")}, .second = path("x.de.gz")}), "one>eins@1;two>zwei@3;");
}

TEST_F(PairsTest, WhatIsNone) {
    put("a.tsv", "one\teins\ntwo\n\tdrei\nfour\t \nfive\tfünf\n");
    EXPECT_MENTIONS(error_of_files({.first = {path("a.tsv")}}), "a.tsv: line 2: 1 field where the first line has 2");
    uint64_t passed_over = 0;
    EXPECT_EQ(read({.first = {path("a.tsv")}, .skip_bad = true}, &passed_over), "one>eins@1;five>fünf@5;");
    EXPECT_EQ(passed_over, 3u);
    put("b.tsv", "x\ty\n\tz\n"), put("c.tsv", "x\ty\nz\t\n"), put("d.tsv", "x\ty\tz\n");
    EXPECT_MENTIONS(error_of_files({.first = {path("b.tsv")}}), "b.tsv: line 2: the source is empty");
    EXPECT_MENTIONS(error_of_files({.first = {path("c.tsv")}}), "c.tsv: line 2: the target is empty");
    EXPECT_MENTIONS(error_of_files({.first = {path("d.tsv")}}), "d.tsv: line 1: has 3 columns, not a source and a target");
    EXPECT_MENTIONS(error_of_files({
                        .first = {path("d.tsv")},
                          .columns = { "1", "4", {}}
    }),
                    "there is no column \"4\"; there are 1 to 3");
    EXPECT_MENTIONS(error_of_files({
                        .first = {path("d.tsv")},
                          .columns = { "1", {}, {}}
    }),
                    "a column of sources and one of targets");
    put("e.jsonl", R"({"en":"x","de":"y"})");
    EXPECT_MENTIONS(error_of_files({.first = {path("e.jsonl")}}),
                    "line 1: there is no column \"source\"; there are \"de\", \"en\"");
    put("x.en", "1\n2\n3\n"), put("x.de", "1\n2\n"), put("y.de", "1\n\n3\n");
    EXPECT_MENTIONS(error_of_files({.first = {path("x.en")}, .second = path("x.de")}), "x.en has 3 lines, but");
    EXPECT_MENTIONS(error_of_files({.first = {path("x.en")}, .second = path("x.de")}), "x.de has 2 lines");
    EXPECT_MENTIONS(error_of_files({.first = {path("x.en")}, .second = path("y.de")}), "x.en: line 2: the target is empty");
    EXPECT_MENTIONS(error_of_files({
                        .first = {path("x.en"), path("x.de")},
                          .second = path("y.de")
    }),
                    "one file goes with one");
    EXPECT_MENTIONS(error_of_files({.first = {path("x.en")}}), "does not say what kind of table");
    EXPECT_MENTIONS(error_of_files({.first = {path("x.en")}, .second = path("z.de")}), "z.de");
}

TEST_F(PairsTest, WhatCannotBeLearned) {
    std::string more;
    for (int i = 0; i < 20; ++i) more += "c\td\n";
    EXPECT_MENTIONS(error_of_pairs("abc def\nghi"), "line 1: has 1 column, not a source and a target");
    EXPECT_MENTIONS(error_of_pairs("a\tb\nab\n" + more), "line 2: 1 field where the first line has 2");
    EXPECT_MENTIONS(error_of_pairs("12345678\tb\n" + more),
                    "pairs.tsv: line 1: a source of 8 tokens, but a context of 8 has room for 7");
    EXPECT_MENTIONS(error_of_pairs("b\t12345678\n" + more), "line 1: a target of 8 tokens");
    EXPECT_MENTIONS(error_of_pairs("a\tb\n"), "too few pairs: 0 to train and 1 to validate");
    EXPECT_MENTIONS(error_of_pairs("a\xff\tb\n" + more), "pairs.tsv: line 1");
    EXPECT_MENTIONS(error_of_pairs("", "empty.tsv"), "empty.tsv: empty");
    TrainRequest r = translation("m", {"pairs.tsv"});
    r.validation_target = path("pairs.tsv");
    EXPECT_MENTIONS(error_of(r), "val-target needs the file");
    r = request("m");
    r.target = path("pairs.tsv");
    EXPECT_MENTIONS(error_of(r), "target is for the task translate; this is lm");
    EXPECT_FALSE(has("m.gguf"));
}

// Rows in one order of each epoch, of the pairs "ab>c", "d>efg" and so on.
TEST_F(PairsTest, WhatTheyBecome) {
    put("pairs.tsv", "abc\txy\nd\twxyz\n");
    CharModel model{
        .tokens = {{"<s>", TokenType::Control}, {"</s>", TokenType::Control}},
          .specials = {.begin = 0,                  .end = 1                    }
    };
    for (const char c : std::string("abcdwxyz")) model.tokens.push_back({std::string(1, c), TokenType::Normal});
    CharTokenizer tokenizer(std::move(model));
    tokenizer.end_texts();
    const PairTokens tokens{tokenizer, tokenizer, 5};
    const auto text = pair_text({.first = {path("pairs.tsv")}}, tokens, folder_.path().string(), {});
    const auto task = make_task("translate", {
                                                 .train = *text,
                                                 .validation = *text,
                                                 .train_span = {0, text->size()},
                                                 .validation_span = {0, text->size()},
                                                 .tokenizer = tokenizer,
                                                 .context = 5,
                                                 .seed = 3,
                                                 .rows = 2,
                                                 .start = 0
    });
    EXPECT_EQ(task->extent().train, 2);
    std::set<std::string> rows;
    for (uint32_t row = 0; row < 2; ++row) {
        std::vector<int32_t> source(5, 9), ids(5, 9), targets(5, 9);
        TaskRow to{ids, targets, source};
        task->fill(0, row, to);
        std::string all;
        for (const auto* of : {&source, &ids, &targets}) {
            for (const int32_t id : *of) all += id == kIgnore ? "-" : id == 0 ? "." : tokenizer.decode(id);
            all += ' ';
        }
        rows.insert(all + std::to_string(to.source_length) + std::to_string(task->counted(0, row)[0]));
    }
    EXPECT_EQ(rows, (std::set<std::string>{"abc</s>. .xy.. xy</s>-- 43", "d</s>... .wxyz wxyz</s> 25"}));
    EXPECT_MENTIONS(test::error_of([&] {
                        pair_text({.first = {path("pairs.tsv")}}, {tokenizer, tokenizer, 4}, folder_.path().string(), {});
                    }),
                    "line 2: a target of 4 tokens, but a context of 4 has room for 3");
    std::string said;
    EXPECT_EQ(pair_text({.first = {path("pairs.tsv")}, .skip_bad = true}, {tokenizer, tokenizer, 4},
                        folder_.path().string(), {.note = [&](const std::string& note) { said = note; }})
                  ->documents(),
              1);
    EXPECT_MENTIONS(said, "passed over 1 pair");
}

TEST_F(PairsTest, TablesAndParallelFilesAreTheSame) {
    put_numbers();
    TrainRequest table = translation("table", {"numbers.tsv"}), lines = translation("lines", {"numbers.a"});
    lines.target = path("numbers.b");
    for (TrainRequest* r : {&table, &lines}) {
        r->options.iters = 6, r->options.tokenizer = "bpe:300";
        run(*r);
    }
    EXPECT_EQ(get("table.gguf"), get("lines.gguf"));
    CpuBackend backend(kernel_table("auto"), 1);
    const LoadedModel model(path("table.gguf"), backend);
    EXPECT_EQ(model.tokenizer().end_token(), model.config().encoder_decoder.start);
    EXPECT_TRUE(model.tokenizer().ends_texts());
    EXPECT_STREQ(model.tokenizer().kind(), "bpe");
}

// Once every epoch, and as often as is asked for.
TEST_F(PairsTest, EpochsAndResuming) {
    put_numbers();
    TrainRequest whole = translation("whole", {"numbers.a"});
    whole.target = path("numbers.b");
    whole.validation = path("numbers.a"), whole.validation_target = path("numbers.b");
    whole.options.tokenizer = "bpe:280";
    whole.options.epochs = 2, whole.options.batch = 10, whole.options.label_smoothing = 0.1, whole.options.dropout = 0.1;
    whole.options.eval_every = 5;
    EXPECT_EQ(run(whole).step, 16);
    for (const int threads : {1, 3}) {
        TrainRequest part = whole;
        part.output = path("part" + std::to_string(threads));
        int asked = 0;
        run(part, {.stop = [&] { return ++asked > 9; }, .sample = {}}, threads);
        part.resume = true;
        part.given = {};
        EXPECT_EQ(run(part, {}, threads).step, 16);
        EXPECT_EQ(get("part" + std::to_string(threads) + ".gguf"), get("whole.gguf")) << threads;
    }
    TrainRequest wrong = whole;
    wrong.resume = true, wrong.options.iters = 20, wrong.given = {"iters"};
    wrong.target = path("numbers.a");
    EXPECT_MENTIONS(error_of(wrong), "resuming needs the same text");
}

TEST_F(PairsTest, GoOnFromAModel) {
    put_numbers();
    TrainRequest first = translation("first", {"numbers.tsv"});
    first.options.iters = 4;
    run(first);
    TrainRequest second = translation("second", {"numbers.tsv"});
    second.from = path("first.gguf");
    second.options = {};
    second.options.iters = 3, second.options.lora = 2;
    EXPECT_EQ(run(second).step, 3);
    EXPECT_LT(get("second.gguf").size(), get("first.gguf").size());
}

// Other tokens on each side, and an embedding for each or one for both.
TEST_F(PairsTest, GoOnFromAModelOfTwoTokenizers) {
    put_numbers();
    TrainRequest first = translation("first", {"numbers.tsv"});
    first.options.iters = 4;
    run(first);
    const GgufFile file = GgufFile::open(path("first.gguf"));
    CharModel letters{.tokens = {{"</s>", TokenType::Control}}, .specials = {.end = 0}};
    for (const char c : std::string("9876543210")) letters.tokens.push_back({std::string(1, c), TokenType::Normal});
    for (const bool apart : {false, true}) {
        ModelConfig config = read_config(file);
        GgufWriter writer;
        if (apart) config.source_vocab = config.vocab;
        write_config(writer, config, "two");
        write_tokenizer(writer, *read_tokenizer(file));
        write_target_tokenizer(writer, CharTokenizer(CharModel(letters)));
        for (const GgufTensor& tensor : file.tensors()) writer.add(tensor.name, tensor.type, tensor.shape, tensor.data);
        if (apart) {
            const GgufTensor& tokens = file.tensor("token_embd.weight");
            writer.add("enc.token_embd.weight", tokens.type, tokens.shape, tokens.data);
        }
        AtomicFile two(path("two.gguf"));
        writer.write(two);
        two.publish();
        TrainRequest second = translation("tuned", {"numbers.tsv"});
        second.from = path("two.gguf"), second.overwrite = true;
        second.options = {};
        second.options.iters = 3, second.options.context = 8;
        second.given = {"context"};
        run(second);
        second.resume = true, second.overwrite = false, second.from.clear();
        second.options.iters = 5, second.given = {"iters"};
        EXPECT_EQ(run(second).step, 5);
        CpuBackend backend(kernel_table("auto"), 1);
        const LoadedModel model(path("tuned.gguf"), backend);
        EXPECT_EQ(model.target_tokenizer().decode(1), "9");
        EXPECT_EQ(model.tokenizer().decode(1), "0");
    }
}

TEST_F(PairsTest, OptionsOfAnEncoder) {
    TrainRequest r = request("m");
    r.options.encoder_layers = 2;
    EXPECT_MENTIONS(error_of(r), "is 2, but gpt2 has no encoder");
    r.options.encoder_layers = 0, r.options.norm_first = true;
    EXPECT_MENTIONS(error_of(r), "cannot be chosen for gpt2");
}

// Pairs of a batch lie one behind the other: none sees another, and what comes after a pair's last target is not computed.
TEST(PackedPairs, EachIsByItself) {
    constexpr int64_t B = 3, T = 6;
    ModelConfig c;
    c.arch = "transformer";
    kTransformer.defaults(c);
    c.layers = 2, c.heads = 2, c.embd = 16, c.context = T, c.vocab = 11;
    kTransformer.complete(c);
    CpuBackend backend(kernel_table("auto"), 2);
    TrainShape shape;
    shape.batch = B, shape.time = T;
    TrainStep train(backend, c, shape);
    train.initialise(3);
    std::vector<int32_t> ids(B * T), source(B * T), targets(B * T, kIgnore);
    const std::vector<int32_t> lengths = {6, 1, 4}, counts = {2, 6, 3};
    for (size_t i = 0; i < ids.size(); ++i) {
        ids[i] = static_cast<int32_t>(i * i % 11), source[i] = static_cast<int32_t>(i * 7 % 11);
        if (static_cast<int32_t>(i % T) < counts[i / T]) targets[i] = static_cast<int32_t>(i * 5 % 11);
    }
    const LossSum together = train.evaluate(ids, targets, {source, lengths});
    EXPECT_EQ(together.rows, 2 + 6 + 3);
    double sum = 0;
    for (size_t b = 0; b < B; ++b) {
        const auto thrice = [&](const std::vector<int32_t>& of) {
            std::vector<int32_t> all;
            for (int64_t i = 0; i < B; ++i) all.insert(all.end(), &of[b * T], &of[b * T] + T);
            return all;
        };
        const std::vector<int32_t> source_of = thrice(source), lengths_of(B, lengths[b]);
        sum += train.evaluate(thrice(ids), thrice(targets), {source_of, lengths_of}).sum / B;
    }
    EXPECT_NEAR(together.sum, sum, 1e-4);

    // The second of three is left out: what stands in its place is not even read.
    std::vector<int32_t> some_ids = ids, some_targets = targets;
    std::fill_n(some_ids.begin() + T, T, 99), std::fill_n(some_targets.begin() + T, T, kIgnore);
    const std::vector<int32_t> some_lengths = {6, 0, 4};
    const LossSum some = train.evaluate(some_ids, some_targets, {source, some_lengths});
    EXPECT_EQ(some.rows, 2 + 3);
    const std::vector<int32_t> second = {0, 1, 0};
    std::vector<int32_t> only = targets;
    std::fill_n(only.begin(), T, kIgnore), std::fill_n(only.begin() + 2 * T, T, kIgnore);
    EXPECT_NEAR(some.sum + train.evaluate(ids, only, {source, second}).sum, together.sum, 1e-5);
    const double loss = train.micro_step(ids, targets,
                                         {
                                             .source = {source, lengths}
    }),
                 norm = train.gradient_norm(0);
    EXPECT_NEAR(loss, sum / 11, 1e-5);
    for (size_t i = 0; i < ids.size(); ++i) {
        const auto b = i / T, t = i % T;
        if (static_cast<int32_t>(t) >= counts[b]) ids[i] = 1;
        if (static_cast<int32_t>(t) >= lengths[b]) source[i] = 1;
    }
    EXPECT_EQ(train.micro_step(ids, targets,
                               {
                                   .source = {source, lengths}
    }),
              loss);
    EXPECT_EQ(train.gradient_norm(0), norm);
}

TEST(PackedPairs, WhatDoesNotFit) {
    ModelConfig c;
    c.arch = "transformer";
    kTransformer.defaults(c);
    c.layers = 1, c.heads = 2, c.embd = 16, c.context = 4, c.vocab = 11;
    kTransformer.complete(c);
    CpuBackend backend(kernel_table("auto"), 1);
    TrainShape shape;
    shape.batch = 1, shape.time = 4;
    TrainStep train(backend, c, shape);
    train.initialise(3);
    const std::vector<int32_t> ids(4), outside(4, 11), none{0}, long_one{5}, two{1, 1};
    const auto error = [&](std::span<const int32_t> source, std::span<const int32_t> lengths) {
        return test::error_of([&] { train.evaluate(ids, ids, {source, lengths}); });
    };
    EXPECT_MENTIONS(error(ids, none), "a source of 0 tokens is not one of 1 to 4");
    const std::vector<int32_t> nothing(4, kIgnore);
    EXPECT_MENTIONS(test::error_of([&] { train.evaluate(ids, nothing, {ids, none}); }), "a batch of pairs has none");
    EXPECT_MENTIONS(error(ids, long_one), "a source of 5 tokens is not one of 1 to 4");
    EXPECT_MENTIONS(error(ids, two), "2 sources of 4 tokens in all");
    EXPECT_MENTIONS(error(outside, std::vector<int32_t>{4}), "token 11 is not among the 11");
    EXPECT_EQ(error(ids, std::vector<int32_t>{1}), "") << "nothing is left of them";
}

std::string reversed(std::string text) {
    std::reverse(text.begin(), text.end());
    return text;
}

// Words of 1 to 6 letters that it has not seen.
TEST_F(PairsTest, LearnsToReverse) {
    const auto word = [](uint32_t i) {
        const auto random = philox({i, 0, 0, 0}, 7);
        std::string text;
        for (uint32_t n = 0; n <= random[0] % 6; ++n) text += static_cast<char>('a' + (random[1] >> (4 * n)) % 8);
        return text;
    };
    std::string text;
    std::set<std::string> seen;
    for (uint32_t i = 0; i < 3000; ++i) {
        seen.insert(word(i));
        text += word(i) + "\t" + reversed(word(i)) + "\n";
    }
    put("reverse.tsv", text);
    TrainRequest r = request("reverse");
    r.inputs = {(folder_ / "reverse.tsv").string()};
    r.options.arch = "transformer";
    r.options.layers = 1, r.options.heads = 4, r.options.embd = 32, r.options.batch = 32;
    r.options.iters = 1500, r.options.eval_every = 500, r.options.lr = 4e-3;
    r.given = {"lr"};
    run(r);

    CpuBackend backend(kernel_table("auto"), 2);
    const LoadedModel model((folder_ / "reverse.gguf").string(), backend);
    std::vector<std::string> words;
    std::vector<std::vector<int32_t>> sources;
    for (uint32_t i = 3000; words.size() < 300; ++i) {
        if (seen.contains(word(i))) continue;
        words.push_back(word(i));
        sources.push_back(model.tokenizer().encode_marked(words.back()).ids);
    }
    Engine engine(backend, model.config(), model.weights(), {.slots = 20});
    const BeamOptions options{.start = static_cast<int32_t>(model.config().encoder_decoder.start),
                              .end = model.tokenizer().end_token()};
    int right = 0;
    translate(engine, sources, options, [&](size_t i, const std::vector<Hypothesis>& found) {
        right += model.tokenizer().decode(found.at(0).ids) == reversed(words[i]);
    });
    EXPECT_GE(right, 297) << "of 300";
}

}  // namespace
}  // namespace nib

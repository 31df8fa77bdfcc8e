// Checkpoints: a resumed run equals an uninterrupted one byte for byte, every instant of a kill leaves a pair that resumes,
// and damaged or foreign files are refused.
#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "core/error.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

class CheckpointTest : public TinyTraining {
protected:
    TrainRequest request(const std::string& name, int64_t iters) const {
        TrainRequest r = TinyTraining::request(name);
        TrainOptions& o = r.options;
        o.batch = 3;
        o.accumulate = 2;
        o.dropout = 0.2;
        o.iters = iters;
        o.decay_iters = 20;
        o.eval_every = 4;
        o.save_every = 7;
        r.given = {"decay-iters", "save-every"};
        return r;
    }
    TrainRequest resumed(const std::string& name, int64_t iters) const {
        TrainRequest r = request(name, iters);
        r.resume = true;
        r.given = {"iters"};
        return r;
    }
    void expect_same(const std::string& a, const std::string& b) const {
        EXPECT_TRUE(get(a + ".gguf") == get(b + ".gguf"));
        EXPECT_TRUE(get(a + ".state.gguf") == get(b + ".state.gguf"));
    }
    void expect_resumes_like(const std::string& whole, const std::function<void(TrainOptions&)>& change) const {
        TrainRequest once = request(whole, 20), twice = request("parts", 10);
        change(once.options);
        change(twice.options);
        run(once, {}, 1);
        run(twice, {}, 2);
        EXPECT_EQ(run(resumed("parts", 20)).step, 20);
        expect_same(whole, "parts");
    }
};

TEST_F(CheckpointTest, TwentyStepsEqualTenAndTenWithAdamW) {
    expect_resumes_like("whole", [](TrainOptions&) {});
}

TEST_F(CheckpointTest, TwoHundredStepsEqualTwiceAHundred) {
    const auto of = [&](const std::string& name, int64_t iters) {
        TrainRequest r = request(name, iters);
        r.options.decay_iters = 200, r.options.eval_every = 40, r.options.save_every = 60;
        return r;
    };
    run(of("whole", 200), {}, 1);
    run(of("parts", 100), {}, 2);
    EXPECT_EQ(run(resumed("parts", 200)).step, 200);
    expect_same("whole", "parts");
}

TEST_F(CheckpointTest, TwentyStepsEqualTenAndTenWithMomentum) {
    expect_resumes_like("whole", [](TrainOptions& o) { o.optimizer = "sgd", o.lr = 0.1, o.untied = true; });
}

TEST_F(CheckpointTest, TwentyStepsEqualTenAndTenWithAdam) {
    expect_resumes_like("whole", [](TrainOptions& o) { o.optimizer = "adam", o.label_smoothing = 0.1; });
}

TEST_F(CheckpointTest, TwentyStepsEqualTenAndTenWithAdagrad) {
    expect_resumes_like("whole",
                        [](TrainOptions& o) { o.optimizer = "adagrad", o.lr = 0.05, o.schedule = "inverse-sqrt"; });
}

TEST_F(CheckpointTest, TwentyStepsEqualTenAndTenWithPlainDescent) {
    expect_resumes_like("whole", [](TrainOptions& o) { o.optimizer = "sgd", o.momentum = 0, o.schedule = "constant"; });
}

TEST_F(CheckpointTest, AnInterruptedRunGoesOnTheSame) {
    run(request("whole", 20));
    for (int stop_at : {1, 4, 9}) {  // 4: while a validation is due
        TrainRequest r = request("parts", 20);
        r.overwrite = true;
        int asked = 0;
        TrainHooks hooks;
        hooks.stop = [&] { return ++asked > stop_at; };
        EXPECT_EQ(run(r, hooks).end, TrainEnd::Interrupted);
        TrainRequest on = resumed("parts", 20);
        on.given = {};
        EXPECT_EQ(run(on).end, TrainEnd::Finished);
        expect_same("whole", "parts");
    }
}

TEST_F(CheckpointTest, EveryInstantOfAKillLeavesAPairThatResumes) {
    run(request("whole", 20));
    run(request("m", 10));
    const std::string old_model = get("m.gguf"), old_state = get("m.state.gguf");
    run(resumed("m", 14));
    const std::string model = get("m.gguf"), state = get("m.state.gguf");
    const auto part = [](const std::string& text, double share) {
        return text.substr(0, static_cast<size_t>(static_cast<double>(text.size()) * share));
    };
    struct Instant {
        std::optional<std::string> model, state, new_model, new_state;
    };
    const auto none = std::nullopt;
    std::vector<Instant> instants;
    instants.push_back({old_model, old_state, none, none});
    instants.push_back({old_model, old_state, "", none});
    instants.push_back({old_model, old_state, part(model, 0.01), none});
    instants.push_back({old_model, old_state, part(model, 0.7), ""});
    instants.push_back({old_model, old_state, model, part(state, 0.5)});
    instants.push_back({old_model, old_state, model, state});
    instants.push_back({model, old_state, none, state});
    instants.push_back({model, state, none, none});
    instants.push_back({none, none, model, state});  // the first checkpoint of all
    instants.push_back({model, none, none, state});
    instants.push_back({model, state, old_model, old_state});  // leftovers that do not belong
    for (const Instant& instant : instants) {
        const auto place = [&](const std::string& name, const std::optional<std::string>& text) {
            fs::remove(folder_ / name);
            if (text) put(name, *text);
        };
        place("m.gguf", instant.model);
        place("m.state.gguf", instant.state);
        place("m.gguf.tmp", instant.new_model);
        place("m.state.gguf.tmp", instant.new_state);
        EXPECT_EQ(run(resumed("m", 20)).step, 20);
        expect_same("whole", "m");
        EXPECT_FALSE(has("m.gguf.tmp"));
        EXPECT_FALSE(has("m.state.gguf.tmp"));
    }
}

TEST_F(CheckpointTest, APairOfWhichOnlyTheModelCouldBeRenamedResumes) {
    run(request("whole", 20));
    run(request("m", 10));
    const std::string old_model = get("m.gguf");
    run(resumed("m", 14));
    const std::string model = get("m.gguf"), state = get("m.state.gguf");
    put("m.gguf", old_model);
    fs::remove(folder_ / "m.state.gguf");
    const auto publish = [&] {
        AtomicFile new_model((folder_ / "m.gguf").string()), new_state((folder_ / "m.state.gguf").string());
        new_model.write(std::as_bytes(std::span(model)));
        new_state.write(std::as_bytes(std::span(state)));
        fs::create_directory(folder_ / "m.state.gguf");  // the second rename fails
        AtomicFile::publish_pair(new_model, new_state);
    };
    EXPECT_THROW(publish(), Error);
    EXPECT_NE(error_of(resumed("m", 20)).find("m.state.gguf: the finished checkpoint cannot be renamed"),
              std::string::npos);
    fs::remove(folder_ / "m.state.gguf");
    EXPECT_EQ(run(resumed("m", 20)).step, 20);
    expect_same("whole", "m");
}

TEST_F(CheckpointTest, HalvesThatDoNotBelongTogetherAreRefused) {
    run(request("m", 10));
    const std::string old_state = get("m.state.gguf");
    run(resumed("m", 14));
    const std::string model = get("m.gguf"), state = get("m.state.gguf");
    put("m.state.gguf", old_state);
    EXPECT_NE(error_of(resumed("m", 20)).find("not of the same step"), std::string::npos);
    put("m.state.gguf.tmp", state.substr(0, state.size() - 100));
    EXPECT_NE(error_of(resumed("m", 20)).find("not of the same step"), std::string::npos);
    fs::remove(folder_ / "m.state.gguf");
    EXPECT_NE(error_of(resumed("m", 20)).find("m.state.gguf"), std::string::npos);
    fs::remove(folder_ / "m.state.gguf.tmp");
    put("m.state.gguf", state);
    EXPECT_EQ(error_of(resumed("m", 20)), "");
}

TEST_F(CheckpointTest, DamageIsNoticed) {
    run(request("m", 10));
    const std::string model = get("m.gguf"), state = get("m.state.gguf");
    put("m.state.gguf", state.substr(0, state.size() - 1000));
    EXPECT_NE(error_of(resumed("m", 20)).find("m.state.gguf"), std::string::npos);
    put("m.state.gguf", "nonsense");
    EXPECT_NE(error_of(resumed("m", 20)).find("m.state.gguf"), std::string::npos);
    put("m.state.gguf", state);
    std::string changed = model;
    changed[changed.size() - 2000] = static_cast<char>(changed[changed.size() - 2000] ^ 1);
    put("m.gguf", changed);
    const std::string log = get("m.log.jsonl") + "{\"step\": 11, \"loss\": 1.0}\n";
    put("m.log.jsonl", log);
    EXPECT_NE(error_of(resumed("m", 20)).find("m.gguf: its weights are not those"), std::string::npos);
    put("m.gguf", model);
    for (const size_t from_end : {size_t{1000}, state.size() / 2}) {  // v and m
        changed = state;
        changed[changed.size() - from_end] = static_cast<char>(changed[changed.size() - from_end] ^ 1);
        put("m.state.gguf", changed);
        EXPECT_NE(error_of(resumed("m", 20)).find("m.state.gguf: its values are not those"), std::string::npos);
    }
    EXPECT_EQ(get("m.log.jsonl"), log);  // cut back only once the checkpoint has proved whole
    std::string renamed = state;
    renamed.replace(renamed.find("m.token_embd.weight"), 1, "x");
    put("m.gguf", model);
    put("m.state.gguf", renamed);
    EXPECT_NE(error_of(resumed("m", 20)).find("m.token_embd.weight"), std::string::npos);
    std::string version = state;
    version[version.find("nib.state.version") + 17 + 4] = 9;
    put("m.state.gguf", version);
    EXPECT_NE(error_of(resumed("m", 20)).find("version 9"), std::string::npos);
}

TEST_F(CheckpointTest, OtherOptionsAndTextsAreRefused) {
    run(request("m", 10));
    const std::string model = get("m.gguf"), state = get("m.state.gguf"), text = get("text.txt");
    TrainRequest r = resumed("m", 20);
    r.options.lr = 0.5;
    r.given.insert("lr");
    EXPECT_NE(error_of(r).find("lr 0.003, but 0.5"), std::string::npos) << error_of(r);
    put("text.txt", text + "and the crow");
    EXPECT_NE(error_of(resumed("m", 20)).find("characters"), std::string::npos);
    std::string other = text;
    std::swap(other[0], other[1]);
    put("text.txt", other);
    EXPECT_NE(error_of(resumed("m", 20)).find("another text of the same length"), std::string::npos);
    other[0] = '!';
    put("text.txt", other);
    EXPECT_NE(error_of(resumed("m", 20)).find("\"!\""), std::string::npos);
    EXPECT_TRUE(get("m.gguf") == model && get("m.state.gguf") == state);
    put("text.txt", text);
    EXPECT_EQ(run(resumed("m", 20)).step, 20);
    EXPECT_EQ(run(resumed("m", 20)).end, TrainEnd::NothingToDo);
}

TEST_F(CheckpointTest, BestModelIsKept) {
    TrainRequest r = request("m", 40);
    r.options.decay_iters = 40;
    const TrainResult result = run(r);
    const RunFiles files(r.output);
    ASSERT_TRUE(result.best && read_best(files));
    EXPECT_EQ(*read_best(files), *result.best);
    EXPECT_LE(*result.best, *result.val_loss);
    fs::remove(files.best);
    EXPECT_FALSE(read_best(files));
}

TEST_F(CheckpointTest, TheBestModelOfBeforeTheFirstCheckpointIsCompleted) {
    TrainRequest r = request("m", 12);  // validates at 4, 8 and 12, the last time with the checkpoint
    r.options.save_every = 100;
    run(r);
    const std::string best = get("m.best.gguf");
    fs::rename(folder_ / "m.best.gguf", folder_ / "m.best.gguf.tmp");
    run(resumed("m", 12));
    EXPECT_TRUE(get("m.best.gguf") == best);
    fs::remove(folder_ / "m.best.gguf");
    TrainRequest other = request("other", 12);
    other.options.seed = 2;
    run(other);
    put("m.best.gguf.tmp", get("other.best.gguf"));
    run(resumed("m", 12));
    EXPECT_FALSE(has("m.best.gguf") || has("m.best.gguf.tmp"));
}

TEST(RunFiles, NamesAreBuiltFromTheOutput) {
    const RunFiles a("dir/m.gguf"), b("dir/m");
    EXPECT_EQ(a.model, "dir/m.gguf");
    EXPECT_EQ(b.model, "dir/m.gguf");
    EXPECT_EQ(a.state, "dir/m.state.gguf");
    EXPECT_EQ(a.best, "dir/m.best.gguf");
    EXPECT_EQ(a.log, "dir/m.log.jsonl");
    EXPECT_EQ(a.curve, "dir/m.svg");
    EXPECT_EQ(RunFiles("m-v1.5").model, "m-v1.5.gguf");
    for (const char* bad : {"", ".gguf", "dir/", "m.best.gguf", "m.bin"}) EXPECT_THROW(RunFiles{bad}, Error) << bad;
}

}  // namespace
}  // namespace nib

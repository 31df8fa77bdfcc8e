// TensorBoard's event files, read back as TFRecords and as its readers understand them.
#include "train/event_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "io/protobuf.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

TEST(Crc32c, IsThatOfItsSpecification) {  // RFC 3720, B.4
    EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
    EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
    std::string rising;
    for (char i = 0; i < 32; ++i) rising += i;
    EXPECT_EQ(crc32c(rising), 0x46DD794Eu);
    EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
}

template <class T>
T number_at(const std::string& bytes, size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

// The records of a file; checks lengths and checksums.
std::vector<std::string> records_of(const std::string& bytes) {
    const auto masked = [](uint32_t crc) { return (crc >> 15 | crc << 17) + 0xA282EAD8u; };
    std::vector<std::string> records;
    for (size_t at = 0; at < bytes.size();) {
        if (bytes.size() - at < 16) return ADD_FAILURE() << "half a record", records;
        const auto size = number_at<uint64_t>(bytes, at);
        EXPECT_EQ(number_at<uint32_t>(bytes, at + 8), masked(crc32c(bytes.substr(at, 8))));
        if (size > bytes.size() - at - 16) return ADD_FAILURE() << "half a record", records;
        records.push_back(bytes.substr(at + 12, size));
        EXPECT_EQ(number_at<uint32_t>(bytes, at + 12 + size), masked(crc32c(records.back())));
        at += 16 + size;
    }
    return records;
}

using Curves = std::map<std::string, std::map<int64_t, float>>;  // by tag and step

void add_summary(const ProtobufField& summary, int64_t step, Curves& curves) {
    ProtobufReader values(summary);
    for (ProtobufField value; values.next(value);) {
        ProtobufReader parts(value);
        std::string tag;
        for (ProtobufField part; parts.next(part);)
            if (part.number() == 1)
                tag = part.bytes();
            else
                EXPECT_TRUE(curves[tag].emplace(step, part.real()).second) << tag << " has step " << step << " twice";
    }
}

// As TensorBoard reads a folder: file by file; a session that starts takes back what was said of its steps.
Curves curves_in(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    Curves curves;
    for (const fs::path& path : files) {
        const std::string name = path.filename().string();
        EXPECT_TRUE(name.starts_with("events.out.tfevents.")) << name;
        bool first = true;
        for (const std::string& record : records_of(read_file(path))) {
            ProtobufReader event(record, name);
            int64_t step = 0;
            for (ProtobufField field; event.next(field);) {
                if (field.number() == 2) step = field.whole_number(INT64_MAX);
                EXPECT_TRUE(!first || field.number() == 1 || field.bytes() == "brain.Event:2");
                if (field.number() == 5) add_summary(field, step, curves);
                if (field.number() == 7)
                    for (auto& [tag, points] : curves) points.erase(points.lower_bound(step), points.end());
            }
            first = false;
        }
    }
    return curves;
}

class EventLogTest : public TinyTraining {
protected:
    TrainRequest tensorboard_request() const {
        TrainRequest r = request("m");
        r.options.iters = 6;
        r.options.eval_every = r.options.save_every = 2;
        r.given = {"iters", "eval-every", "save-every"};
        r.options.tensorboard = (folder_ / "board").string();
        return r;
    }
    Curves curves() const { return curves_in(folder_ / "board" / "m"); }
    void expect_the_logs_curves() const {
        TrainLog log((folder_ / "m.log.jsonl").string());
        log.resume(INT64_MAX - 1);
        const Curves found = curves();
        ASSERT_EQ(found.at("loss/train").size(), log.train().size());
        for (const LossPoint& p : log.train()) EXPECT_EQ(found.at("loss/train").at(p.step), static_cast<float>(p.loss));
        ASSERT_EQ(found.at("loss/validation").size(), log.val().size());
        for (const LossPoint& p : log.val()) EXPECT_EQ(found.at("loss/validation").at(p.step), static_cast<float>(p.loss));
        for (const char* tag : {"learning_rate", "gradient_norm", "tokens_per_second"})
            EXPECT_EQ(found.at(tag).size(), log.train().size());
        EXPECT_EQ(found.size(), 5u);
    }
};

TEST_F(EventLogTest, HasTheCurvesOfTheLog) {
    run(tensorboard_request());
    EXPECT_EQ(curves().at("loss/train").size(), 6u);
    EXPECT_EQ(curves().at("loss/validation").size(), 3u);
    expect_the_logs_curves();
}

// A kill leaves steps after the last checkpoint in the events, too, and half a record.
TEST_F(EventLogTest, AResumedRunHasEachStepOnce) {
    TrainRequest r = tensorboard_request();
    run(r);
    EventLog killed(r.options.tensorboard, "m");
    killed.go_on_after(6);
    killed.add({.step = 7, .loss = 99});
    killed.add({.step = 8, .loss = 99});
    killed.flush();
    EXPECT_EQ(curves().at("loss/train").at(8), 99);
    r.resume = true;
    r.options.iters = 7;
    r.options.tensorboard.clear();  // the checkpoint knows
    r.given = {"iters"};
    run(r);
    EXPECT_EQ(curves().at("loss/train").size(), 7u);
    EXPECT_NE(curves().at("loss/train").at(7), 99);
    expect_the_logs_curves();
}

TEST_F(EventLogTest, ANewRunReplacesTheCurvesOfAnOldOne) {
    TrainRequest r = tensorboard_request();
    run(r);
    r.overwrite = true;
    r.options.iters = 4;
    run(r);
    EXPECT_EQ(curves().at("loss/train").size(), 4u);
    expect_the_logs_curves();
}

TEST_F(EventLogTest, AFolderThatCannotBeWrittenIsRefusedFirst) {
    TrainRequest r = tensorboard_request();
    r.options.tensorboard = (folder_ / "text.txt").string();
    EXPECT_MENTIONS(error_of(r), "text.txt: is not a folder");
    EXPECT_FALSE(has("m.gguf"));
    if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
    fs::create_directory(folder_ / "closed");
    fs::permissions(folder_ / "closed", fs::perms::owner_read | fs::perms::owner_exec);
    r.options.tensorboard = (folder_ / "closed" / "deep").string();
    EXPECT_MENTIONS(error_of(r), "closed: cannot write into this folder");
    EXPECT_FALSE(has("m.gguf"));
    fs::create_directories(folder_ / "unread" / "m");
    fs::permissions(folder_ / "unread" / "m", fs::perms::owner_write | fs::perms::owner_exec);
    r.options.tensorboard = (folder_ / "unread").string();
    EXPECT_MENTIONS(error_of(r), "m: cannot write into this folder");
    EventLog log(r.options.tensorboard, "m");
    EXPECT_MENTIONS(test::error_of([&] { log.add({.step = 1, .loss = 1}); }), "cannot write the log");
}

TEST_F(EventLogTest, AFileInTheWayIsAnError) {
    fs::create_directories(folder_ / "board");
    write_file(folder_ / "board" / "m", "in the way");
    EventLog log((folder_ / "board").string(), "m");
    EXPECT_MENTIONS(test::error_of([&] { log.add({.step = 1, .loss = 1}); }), "cannot write the log");
}

}  // namespace
}  // namespace nib

// Mapped files and files that appear complete or not at all.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/mapped_file.h"
#include "io/npy.h"
#include "io/read_file.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;

// A folder of its own for each test, removed at its end.
class IoTest : public testing::Test {
protected:
    std::string path(const std::string& name) const { return (folder_ / name).string(); }
    void put(const std::string& name, const std::string& text) const { write_file(folder_ / name, text); }
    std::string text_of(const std::string& name) const { return read_file(folder_ / name); }
    std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename().string());
        return names;
    }

    TempFolder folder_;
};

using MappedFileTest = IoTest;
using AtomicFileTest = IoTest;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST_F(MappedFileTest, MapsTheWholeFile) {
    put("a", "hello");
    MappedFile file(path("a"));
    EXPECT_EQ(as_text(file.bytes()), "hello");
    EXPECT_EQ(file.path(), path("a"));
}

TEST_F(MappedFileTest, MovesWithoutMovingTheBytes) {
    put("a", "hello");
    put("b", "world");
    MappedFile a(path("a"));
    const std::byte* const data = a.bytes().data();
    MappedFile moved(std::move(a));
    EXPECT_EQ(moved.bytes().data(), data);
    moved = MappedFile(path("b"));
    EXPECT_EQ(as_text(moved.bytes()), "world");
    EXPECT_EQ(moved.path(), path("b"));
}

TEST_F(MappedFileTest, EmptyFileIsAnEmptySpan) {
    put("empty", "");
    const MappedFile file(path("empty"));
    EXPECT_TRUE(file.bytes().empty());
}

TEST_F(MappedFileTest, SaysWhatIsWrong) {
    const auto message = [&](const std::string& name) { return error_of([&] { MappedFile file(path(name)); }); };
    EXPECT_EQ(message("none"), path("none") + ": cannot open: No such file or directory");
    fs::create_directory(path("folder"));
    EXPECT_EQ(message("folder"), path("folder") + ": is a folder, not a file");
    ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
    EXPECT_MENTIONS(message("pipe"), "is not a regular file");
    EXPECT_MENTIONS(error_of([] { MappedFile file("/dev/null"); }), "/dev/null: is not a regular file");
    put("bad\nname", "");
    fs::remove(path("bad\nname"));
    EXPECT_MENTIONS(message("bad\nname"), "bad\\x0Aname: cannot open");
}

TEST_F(MappedFileTest, UnreadableFile) {
    put("secret", "x");
    fs::permissions(path("secret"), fs::perms::none);
    if (access(path("secret").c_str(), R_OK) == 0) {  // root reads everything: a path below a file serves instead
        EXPECT_MENTIONS(error_of([&] { MappedFile file(path("secret") + "/below"); }), "Not a directory");
    } else {
        EXPECT_MENTIONS(error_of([&] { MappedFile file(path("secret")); }), "Permission denied");
    }
}

TEST_F(MappedFileTest, SmallFilesAndPipesAreRead) {
    put("a", "some text");
    EXPECT_EQ(read_file(path("a"), 9), "some text");
    EXPECT_MENTIONS(error_of([&] { read_file(path("a"), 8); }), "a: is too long; at most 8 B are read");
    EXPECT_MENTIONS(error_of([&] { read_file("/dev/zero", 1 << 20); }), "/dev/zero: is too long");
    EXPECT_MENTIONS(error_of([&] { read_file(path("b"), 9); }), "b: cannot open: No such file or directory");
    EXPECT_MENTIONS(error_of([&] { read_file(folder_.path().string(), 9); }), "is a folder");
    const std::string text(200000, 'x');  // more than a pipe holds
    int channel[2];
    ASSERT_EQ(pipe(channel), 0);
    std::thread writer([&] {
        EXPECT_EQ(::write(channel[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
        close(channel[1]);
    });
    EXPECT_TRUE(read_file("/dev/fd/" + std::to_string(channel[0]), text.size()) == text);
    writer.join();
    close(channel[0]);
}

TEST_F(AtomicFileTest, AppearsOnlyWhenPublished) {
    EXPECT_EQ(AtomicFile::temporary_name("a/b.gguf"), "a/b.gguf.tmp");
    AtomicFile file(path("out"));
    file.write(bytes_of("hello "));
    file.write(bytes_of("world"));
    EXPECT_EQ(files(), std::vector<std::string>{"out.tmp"});
    file.finish();
    EXPECT_EQ(files(), std::vector<std::string>{"out.tmp"});
    EXPECT_EQ(text_of("out.tmp"), "hello world");
    file.publish();
    EXPECT_EQ(files(), std::vector<std::string>{"out"});
    EXPECT_EQ(text_of("out"), "hello world");
}

TEST_F(AtomicFileTest, PairIsFinishedBeforeItIsPublished) {
    put("a", "old a"), put("b", "old b");
    AtomicFile a(path("a")), b(path("b"));
    a.write(bytes_of("new a")), b.write(bytes_of("new b"));
    a.finish(), b.finish();
    EXPECT_EQ(text_of("a") + text_of("b"), "old aold b");
    a.publish(), b.publish();
    EXPECT_EQ(text_of("a") + text_of("b"), "new anew b");
    EXPECT_EQ(files().size(), 2u);
}

TEST_F(AtomicFileTest, BlocksOfAllSizesKeepTheirOrder) {
    std::string expected;
    AtomicFile file(path("out"));
    for (const size_t size : {1, 1000, 262143, 1, 262144, 3, 262145, 700000, 0, 9}) {
        const std::string block(size, static_cast<char>('a' + size % 26));
        file.write(bytes_of(block));
        expected += block;
    }
    file.publish();
    EXPECT_TRUE(text_of("out") == expected);
}

TEST_F(AtomicFileTest, UnpublishedFileIsRemovedAndTheOldOneStays) {
    put("out", "old");
    { AtomicFile(path("out")).write(bytes_of("new")); }
    {
        AtomicFile finished(path("out"));
        finished.write(bytes_of("new"));
        finished.finish();
    }
    EXPECT_EQ(files(), std::vector<std::string>{"out"});
    EXPECT_EQ(text_of("out"), "old");
}

TEST_F(AtomicFileTest, LeftoverOfAKilledRunIsReplaced) {
    put("out.tmp", "a long leftover of a run that was killed");
    AtomicFile file(path("out"));
    file.write(bytes_of("new"));
    file.publish();
    EXPECT_EQ(text_of("out"), "new");
    EXPECT_EQ(files().size(), 1u);
}

TEST_F(AtomicFileTest, SecondWriterIsRefused) {
    AtomicFile first(path("out"));
    first.write(bytes_of("first"));
    EXPECT_MENTIONS(error_of([&] { AtomicFile second(path("out")); }),
                    "out: cannot write: another process is writing this file");
    first.publish();
    EXPECT_EQ(text_of("out"), "first");
    write_file_atomically(path("out"), "second");
    EXPECT_EQ(text_of("out"), "second");
}

TEST_F(AtomicFileTest, RefusesWhatCannotBecomeAFile) {
    const auto message = [&](const std::string& target) { return error_of([&] { AtomicFile file(target); }); };
    put("plain", "old");
    fs::create_directory(path("folder"));
    EXPECT_EQ(message(path("folder")), path("folder") + ": cannot write: is a folder");
    EXPECT_MENTIONS(message(path("none/out")), "No such file or directory");
    EXPECT_MENTIONS(message(path("plain/out")), "Not a directory");
    EXPECT_MENTIONS(message("/dev/null"), "/dev/null: cannot write: is not a regular file");
    EXPECT_MENTIONS(message(""), "name is empty");
    EXPECT_MENTIONS(message(path(std::string(255, 'x'))), "File name too long");
    fs::create_directory(path("blocked.tmp"));
    EXPECT_MENTIONS(message(path("blocked")), "blocked.tmp: Is a directory");
    EXPECT_EQ(files().size(), 3u);
    EXPECT_EQ(text_of("plain"), "old");
}

TEST_F(AtomicFileTest, UnwritableFolder) {
    fs::create_directory(path("locked"));
    fs::permissions(path("locked"), fs::perms::owner_read | fs::perms::owner_exec);
    const bool bypassed = access(path("locked").c_str(), W_OK) == 0;  // root writes everywhere, but not to /proc
    const std::string target = bypassed ? "/proc/out" : path("locked/out");
    EXPECT_MENTIONS(error_of([&] { AtomicFile file(target); }), target + ": cannot create");
    fs::permissions(path("locked"), fs::perms::owner_all);
}

// Runs `action` in a child process that may not write files beyond `limit` bytes, as on a full disk, and returns what it
// returns (the child, because a lowered hard limit never rises again and the test's own output must not suffer).
template <class Action>
std::string on_a_full_disk(rlim_t limit, Action&& action) {
    int channel[2];
    if (pipe(channel) != 0) return "no pipe";
    const pid_t child = fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit size{limit, limit};
        const std::string result = setrlimit(RLIMIT_FSIZE, &size) == 0 ? action() : "no limit";
        _exit(::write(channel[1], result.data(), result.size()) == static_cast<ssize_t>(result.size()) ? 0 : 1);
    }
    close(channel[1]);
    std::string result;
    char buffer[4096];
    for (ssize_t count; (count = read(channel[0], buffer, sizeof buffer)) > 0;) result.append(buffer, size_t(count));
    close(channel[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return status == 0 ? result : "the child failed";
}

TEST_F(AtomicFileTest, FullDiskLeavesTheOldFileAndNothingElse) {
    put("out", "old");
    const std::string small(6000, 'x'), large(1 << 20, 'x');
    for (const std::string* block : {&small, &large}) {
        const std::string message = on_a_full_disk(5000, [&] {
            return error_of([&] {
                AtomicFile file(path("out"));
                file.write(bytes_of(*block));  // the large one fails here
                file.publish();                // the small one here, when the buffer is flushed
            });
        });
        EXPECT_EQ(message, path("out") + ": cannot write: File too large");
        EXPECT_EQ(files(), std::vector<std::string>{"out"});
        EXPECT_EQ(text_of("out"), "old");
    }
}

TEST_F(AtomicFileTest, TemporaryFileIsGoneAsSoonAsAWriteFails) {
    const std::string left = on_a_full_disk(5000, [&]() -> std::string {
        AtomicFile file(path("out"));
        const std::string block(4 << 20, 'x');
        const std::string message = error_of([&] { file.write(bytes_of(block)); });
        return std::to_string(files().size()) + " files, " + message;
    });
    EXPECT_MENTIONS(left, "0 files, ");
    EXPECT_MENTIONS(left, "File too large");
}

TEST_F(AtomicFileTest, FailedRenameIsReported) {
    AtomicFile file(path("out"));
    file.write(bytes_of("new"));
    fs::create_directory(path("out"));  // appears after the check in the constructor
    EXPECT_MENTIONS(error_of([&] { file.publish(); }), "out: cannot rename the finished file: Is a directory");
    EXPECT_EQ(files(), std::vector<std::string>{"out"});
}

TEST_F(AtomicFileTest, HalfAPairCanBeCompleted) {
    put("a", "old a");
    AtomicFile a(path("a")), b(path("b"));
    a.write(bytes_of("new a")), b.write(bytes_of("new b"));
    fs::create_directory(path("b"));
    EXPECT_MENTIONS(error_of([&] { AtomicFile::publish_pair(a, b); }), "b: cannot rename the finished file");
    EXPECT_EQ(text_of("a") + text_of("b.tmp"), "new anew b");
}

TEST_F(AtomicFileTest, APairThatCannotBeginLeavesNothing) {
    fs::create_directory(path("c"));
    {
        AtomicFile a(path("c/a")), b(path("c/b"));
        fs::create_directory(path("c/a"));
        EXPECT_MENTIONS(error_of([&] { AtomicFile::publish_pair(a, b); }), "a: cannot rename the finished file");
    }
    EXPECT_FALSE(fs::exists(path("c/a.tmp")) || fs::exists(path("c/b.tmp")) || fs::exists(path("c/b")));
}

TEST_F(AtomicFileTest, ALockKeepsOthersOut) {
    const auto take = [&] { return error_of([&] { FileLock lock(path("m.lock"), "m", "is taken"); }); };
    {
        const FileLock lock(path("m.lock"), "m", "is taken");
        EXPECT_EQ(take(), "m: is taken");
    }
    EXPECT_TRUE(files().empty());
    put("m.lock", "");  // as a kill leaves it
    EXPECT_EQ(take(), "");
    put("m.lock", "a text");
    EXPECT_MENTIONS(take(), "m.lock: is in the way");
    EXPECT_EQ(text_of("m.lock"), "a text");
    EXPECT_MENTIONS(error_of([&] { FileLock lock(path("none/m.lock"), "m", ""); }), "m: cannot create");
}

TEST_F(AtomicFileTest, WritesTextInOneCall) {
    write_file_atomically(path("log"), "first");
    write_file_atomically(path("log"), "second");
    EXPECT_EQ(text_of("log"), "second");
    EXPECT_EQ(files().size(), 1u);
}

TEST_F(AtomicFileTest, WorksInTheCurrentFolder) {
    const fs::path before = fs::current_path();
    fs::current_path(folder_.path());
    write_file_atomically("log", "text");
    fs::current_path(before);
    EXPECT_EQ(text_of("log"), "text");
}

TEST(Npy, Header) {
    const int64_t shape[] = {3, 65};
    const std::string header = npy_header(shape);
    EXPECT_EQ(header.size() % 64, 0u);
    EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
    EXPECT_EQ(static_cast<unsigned char>(header[8]) + 256u * static_cast<unsigned char>(header[9]), header.size() - 10);
    EXPECT_EQ(header.back(), '\n');
    EXPECT_NE(header.find("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 65), }"), std::string::npos);
    const int64_t one[] = {7};
    EXPECT_NE(npy_header(one).find("'shape': (7,), }"), std::string::npos);
}

}  // namespace
}  // namespace nib

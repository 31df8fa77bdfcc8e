// Zip archives: entries in place, and no bad archive passes or crashes.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "io/torch_file.h"
#include "io/zip.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;
using Parts = std::vector<ZipPart>;

std::string file_error(const std::string& bytes) {
    return error_of([&] { TorchFile::parse(std::as_bytes(std::span(bytes)), "x.pt"); });
}

TEST(Zip, EntriesAndComments) {
    Zip zip({
        {"a",  "first"},
        {"b/", ""     },
        {"c",  ""     }
    });
    zip.set(zip.end + 20, uint16_t{7}).bytes += "comment";
    const auto archive = ZipArchive::parse(std::as_bytes(std::span(zip.bytes)), "x.zip");
    EXPECT_EQ(archive.entries().size(), 3u);
    EXPECT_EQ(archive.find("a")->data.size(), 5u);
    EXPECT_EQ(archive.find("aa"), nullptr);
    EXPECT_EQ(archive.find("0"), nullptr);
}

// `change` damages a sound archive of two entries.
template <class Change>
std::string zip_error(Change&& change) {
    Zip zip({
        {"a", "first",  0, 0},
        {"b", "second", 0, 0}
    });
    change(zip);
    const std::vector<char> copy(zip.bytes.begin(), zip.bytes.end());
    return error_of([&] { ZipArchive::parse(std::as_bytes(std::span(copy)), "x.zip"); });
}

TEST(Zip, DamagedDirectory) {
    EXPECT_EQ(zip_error([](Zip&) {}), "");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.bytes += "x"; }), "x.zip: zip archive: it has no end-of-directory record");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.bytes.clear(); }), "it has no end");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.bytes.insert(0, "x"); }), "its directory is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.bytes.insert(z.end, "x"); }), "its directory is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 4, uint16_t{1}); }), "is split over several files");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 8, uint16_t{1}); }), "is split over several files");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 8, 0x00010001); }), "the directory is longer than its entries");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 8, 0xFFFFFFFFu); }), "claims impossibly many entries");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 12, 0xFFFFFFFFu); }), "its directory is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 16, 0xFFFFFFFFu); }), "its directory is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1], 0); }), "its directory is broken");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 28, uint16_t{2}); }), "its directory is broken");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 32, uint16_t{0xFFFF}); }), "its directory is broken");
}

TEST(Zip, DamagedEntries) {
    const auto both = [](Zip& z, size_t at, auto value) {  // in the local header and in the directory
        z.set(z.local[1] + at, value).set(z.central[1] + at + 2, value);
    };
    EXPECT_EQ(zip_error([&](Zip& z) { both(z, 8, uint16_t{8}); }), "") << "compressed";
    EXPECT_MENTIONS(zip_error([&](Zip& z) { both(z, 6, uint16_t{1}); }), "zip entry `b`: is encrypted");
    EXPECT_MENTIONS(zip_error([&](Zip& z) { both(z, 18, 5); }), "has two sizes though it is not compressed");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 42, 0x7FFFFFFF); }), "is not where the directory says");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 42, uint32_t(z.local[1] + 1)); }), "is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 42, uint32_t(z.central[0] - 29)); }), "is not where");
    const auto sizes = [&](Zip& z, uint32_t size) {
        both(z, 18, size);
        both(z, 22, size);
    };
    EXPECT_MENTIONS(zip_error([&](Zip& z) { sizes(z, 7); }), "lies beyond the end of the file");
    EXPECT_MENTIONS(zip_error([&](Zip& z) { sizes(z, 0xFFFFFFFE); }), "lies beyond the end of the file");
    EXPECT_MENTIONS(zip_error([&](Zip& z) { sizes(z, 0xFFFFFFFF); }), "its zip64 sizes are missing");
    EXPECT_EQ(zip_error([&](Zip& z) { sizes(z, 5); }), "");
    const char* contradict = "the directory and the entry's own header contradict each other";
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 22, 5); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 18, 0); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 14, 1); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 8, uint16_t{8}); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 30, 'c'); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 28, uint16_t{0xFFFF}); }), "lies beyond the end");
    EXPECT_MENTIONS(zip_error([](Zip& z) {
                        z.set(z.central[1] + 42, uint32_t(z.local[0]));
                        z.set(z.local[0] + 30, 'b');
                        z.set(z.central[1] + 20, 5).set(z.central[1] + 24, 5).set(z.central[0] + 46, 'b');
                    }),
                    "overlaps another entry");
    EXPECT_MENTIONS(zip_error([&](Zip& z) {
                        z.set(z.local[0] + 18, 11).set(z.local[0] + 22, 11);
                        z.set(z.central[0] + 20, 11).set(z.central[0] + 24, 11);
                    }),
                    "zip entry `b`: overlaps another entry");
    EXPECT_MENTIONS(zip_error([](Zip& z) {
                        z = Zip(Parts{
                            {"a", "x"},
                            {"a", "y"}
                        });
                    }),
                    "zip entry `a` is there twice");
}

TEST(Zip, DamagedZip64) {
    const std::string bytes = read_file(golden("checkpoints/bare.pt"));  // PyTorch always writes the zip64 records
    const size_t end = bytes.size() - 22, locator = end - 20, end64 = locator - 56;
    ASSERT_EQ(bytes.substr(end64, 4), "PK\6\6");
    const auto error = [&](size_t at, auto value) {
        std::string copy = bytes;
        copy.replace(at, sizeof value, raw(value));
        return file_error(copy);
    };
    EXPECT_EQ(error(end + 16, 0xFFFFFFFFu), "");
    EXPECT_EQ(error(end + 10, uint16_t{0xFFFF}), "");
    EXPECT_MENTIONS(error(end + 10, uint16_t{1}), "contradict each other");
    EXPECT_MENTIONS(error(end + 12, 1), "contradict each other");
    EXPECT_MENTIONS(error(locator + 8, uint64_t{0}), "is not where its locator says");
    EXPECT_MENTIONS(error(locator + 8, ~uint64_t{0}), "is not where its locator says");
    EXPECT_MENTIONS(error(end64 + 4, ~uint64_t{0}), "is not where its locator says");
    EXPECT_MENTIONS(error(end64 + 20, 1), "is split over several files");
    EXPECT_MENTIONS(error(end64 + 24, ~uint64_t{0}), "is split over several files");
    std::string many = bytes;
    many.replace(end64 + 24, 16, raw(~uint64_t{0}) + raw(~uint64_t{0}));
    many.replace(end + 8, 4, raw(0xFFFFFFFFu));
    EXPECT_MENTIONS(file_error(many), "impossibly many entries");
    many = bytes;
    many.replace(end64 + 40, 16, raw(~uint64_t{0}) + raw(uint64_t{2}));
    many.replace(end + 12, 8, raw(~uint64_t{0}));
    EXPECT_MENTIONS(file_error(many), "its directory is not where");
}

TEST(Zip, Sizes64) {
    // An entry as it is written beyond 4 GiB: the numbers of the directory are in an extra field, after one that is
    // unknown.
    const auto made = [](uint64_t size, uint64_t offset) {
        Zip zip(Parts{
            {"a", "first" },
            {"b", "second"}
        });
        const std::string extra = raw<uint16_t>(0x5A5A) + raw<uint16_t>(2) + "zz" + raw<uint16_t>(1) + raw<uint16_t>(24) +
                                  raw(size) + raw(size) + raw(offset);
        zip.set(zip.local[1] + 18, ~uint64_t{0});
        zip.set(zip.central[1] + 20, ~uint64_t{0}).set(zip.central[1] + 42, ~uint32_t{0});
        zip.set(zip.central[1] + 30, static_cast<uint16_t>(extra.size()));
        zip.set(zip.end + 12, static_cast<uint32_t>(zip.end - zip.central[0] + extra.size()));
        zip.bytes.insert(zip.central[1] + 46 + 1, extra);
        return zip;
    };
    const uint64_t offset = made(0, 0).local[1];
    const Zip zip = made(6, offset);
    const auto archive = ZipArchive::parse(std::as_bytes(std::span(zip.bytes)), "x.zip");
    const auto data = archive.find("b")->data;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(data.data()), data.size()), "second");
    const auto error = [](const Zip& damaged) {
        return error_of([&] { ZipArchive::parse(std::as_bytes(std::span(damaged.bytes)), "x.zip"); });
    };
    EXPECT_MENTIONS(error(made(~uint64_t{0}, offset)), "lies beyond the end of the file");
    EXPECT_MENTIONS(error(made(6, ~uint64_t{0})), "is not where the directory says");
    Zip shorter = made(6, offset);
    shorter.set(shorter.central[1] + 47 + 8, uint16_t{23});
    EXPECT_MENTIONS(error(shorter), "its zip64 sizes are missing");
    shorter.set(shorter.central[1] + 47 + 8, uint16_t{25});
    EXPECT_MENTIONS(error(shorter), "its zip64 sizes are missing");
}

}  // namespace
}  // namespace nib

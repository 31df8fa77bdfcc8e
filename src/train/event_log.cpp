#include "train/event_log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "io/protobuf.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "events.out.tfevents.";

// Field numbers.
namespace event {
constexpr uint64_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
}
namespace summary {
constexpr uint64_t kValue = 1, kTag = 1, kSimpleValue = 2;
}
namespace session {
constexpr uint64_t kStatus = 1, kStart = 1;
}

void append_little_endian(std::string& bytes, uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
}

// A checksum of bytes that hold checksums would be weak, so it is rotated and shifted.
uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xA282EAD8u; }

std::string record(const std::string& data) {
    std::string bytes;
    append_little_endian(bytes, data.size(), 8);
    append_little_endian(bytes, masked(crc32c(bytes)), 4);
    bytes += data;
    append_little_endian(bytes, masked(crc32c(data)), 4);
    return bytes;
}

ProtobufWriter event_now() {
    ProtobufWriter event;
    event.real(event::kWallTime,
               std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
    return event;
}

// A name that sorts behind all others in the folder, since TensorBoard reads them in that order. Sets `error` if the folder
// cannot be read.
std::string next_name(const fs::path& folder, std::error_code& error) {
    long long seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name.starts_with(kPrefix) && name.size() >= kPrefix.size() + 10)
            seconds = std::max(seconds, std::atoll(name.substr(kPrefix.size(), 10).c_str()) + 1);
    }
    char host[HOST_NAME_MAX + 1] = "localhost";
    gethostname(host, sizeof host - 1);
    return std::string(kPrefix) + strprintf("%010lld.%s.%d.0", seconds, host, static_cast<int>(getpid()));
}

std::array<uint32_t, 256> crc_table() {
    std::array<uint32_t, 256> table;
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
        table[i] = crc;
    }
    return table;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
    static const std::array<uint32_t, 256> table = crc_table();
    uint32_t crc = ~0u;
    for (const char byte : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
    return ~crc;
}

EventLog::EventLog(const std::string& folder, const std::string& name)
    : folder_((fs::path(folder) / name).string()), path_(folder_) {}

void EventLog::check() const {
    std::error_code error;
    fs::path nearest = fs::absolute(folder_, error);
    while (!fs::exists(nearest, error) && nearest.has_relative_path()) nearest = nearest.parent_path();
    if (!fs::is_directory(nearest, error)) fail("%s: is not a folder", printable(nearest.string()).c_str());
    const bool own = fs::equivalent(nearest, folder_, error);  // whose files are listed
    if (access(nearest.c_str(), W_OK | X_OK | (own ? R_OK : 0)) != 0)
        fail("%s: cannot write into this folder: %s", printable(nearest.string()).c_str(), std::strerror(errno));
}

void EventLog::open() {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (error) fail_to_write(error.value());
    const std::string name = next_name(folder_, error);
    if (error) fail_to_write(error.value());
    path_ = (fs::path(folder_) / name).string();
    file_.reset(std::fopen(path_.c_str(), "wxe"));
    if (!file_) fail_to_write(errno);
    ProtobufWriter version = event_now(), start = event_now(), status;
    version.bytes(event::kFileVersion, "brain.Event:2");
    write(version.message());
    status.whole_number(session::kStatus, session::kStart);
    start.whole_number(event::kStep, static_cast<uint64_t>(step_ + 1));
    start.bytes(event::kSessionLog, status.message());
    write(start.message());
}

void EventLog::add(const LogLine& line) {
    if (!file_) open();
    ProtobufWriter values;
    const auto put = [&](std::string_view tag, double number) {
        ProtobufWriter value;
        value.bytes(summary::kTag, tag);
        value.real(summary::kSimpleValue, static_cast<float>(number));
        values.bytes(summary::kValue, value.message());
    };
    for (const auto& column : kLogColumns)
        if (line.*column.value && column.tag != nullptr) put(column.tag, *(line.*column.value));
    for (const Score& score : line.scores) put(score.name + "/validation", score.value);
    for (const Score& score : line.others) put(score.name, score.value);
    ProtobufWriter event = event_now();
    event.whole_number(event::kStep, static_cast<uint64_t>(line.step));
    event.bytes(event::kSummary, values.message());
    write(event.message());
}

void EventLog::write(const std::string& event) {
    const std::string bytes = record(event);
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail_to_write(errno);
}

void EventLog::flush() {
    if (file_ && std::fflush(file_.get()) != 0) fail_to_write(errno);
}

void EventLog::fail_to_write(int error) const {
    fail("%s: cannot write the log: %s", printable(path_).c_str(), std::strerror(error));
}

}  // namespace nib

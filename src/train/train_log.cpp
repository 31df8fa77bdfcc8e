#include "train/train_log.h"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
namespace nib {
namespace {

std::string json(const LogLine& line) {
    const auto number = [](const std::optional<double>& value, const char* format = "%.9g") {
        char text[40];
        std::snprintf(text, sizeof text, format, value.value_or(0));
        return value ? std::string(text) : "null";
    };
    return strprintf("{\"step\": %lld, \"loss\": %s, \"val_loss\": %s, \"lr\": %s, \"grad_norm\": %s, \"tok_s\": %s}\n",
                     static_cast<long long>(line.step), number(line.loss).c_str(), number(line.val_loss).c_str(),
                     number(line.lr).c_str(), number(line.grad_norm).c_str(), number(line.tok_s, "%.0f").c_str());
}

// A line of the log; nothing when it is not one.
std::optional<LogLine> parse(const std::string& text) {
    const auto object = nlohmann::json::parse(text, nullptr, false);
    if (!object.is_object() || !object.contains("step") || !object["step"].is_number_integer()) return std::nullopt;
    const auto number = [&](const char* key) -> std::optional<double> {
        if (!object.contains(key) || !object[key].is_number()) return std::nullopt;
        return object[key].get<double>();
    };
    return LogLine{object["step"].get<int64_t>(), number("loss"), number("val_loss"), {}, {}, {}};
}

}  // namespace

TrainLog::TrainLog(std::string path, std::optional<int64_t> resumed_step)
    : path_(std::move(path)), resumed_(resumed_step.has_value()) {
    if (!resumed_ || access(path_.c_str(), F_OK) != 0) return;
    open();
    std::rewind(file_.get());
    std::string text;
    long kept = 0;  // bytes
    for (int c; (c = std::getc(file_.get())) != EOF;) {
        text += static_cast<char>(c);
        if (c != '\n') continue;
        const auto line = parse(text);
        if (!line || line->step > *resumed_step) break;
        kept = std::ftell(file_.get());
        note(*line);
        text.clear();
    }
    if (ftruncate(fileno(file_.get()), kept) != 0 || std::fseek(file_.get(), 0, SEEK_END) != 0) fail_to_write(errno);
}

// The lock tells others, for as long as this one runs, that the training's name is taken.
void TrainLog::open() {
    file_.reset(std::fopen(path_.c_str(), "a+e"));
    if (!file_) fail_to_write(errno);
    if (flock(fileno(file_.get()), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        file_.reset();
        fail("%s: another process is writing this file; is its training still running?", printable(path_).c_str());
    }
    if (!resumed_ && ftruncate(fileno(file_.get()), 0) != 0) fail_to_write(errno);
}

void TrainLog::add(const LogLine& line) {
    if (!file_) open();
    if (std::fputs(json(line).c_str(), file_.get()) < 0) fail_to_write(errno);
    note(line);
}

void TrainLog::flush() {
    if (file_ && std::fflush(file_.get()) != 0) fail_to_write(errno);
}

void TrainLog::remove() {
    if (!file_) return;
    file_.reset();
    std::remove(path_.c_str());
}

void TrainLog::note(const LogLine& line) {
    if (line.loss) train_.push_back({line.step, *line.loss});
    if (line.val_loss) val_.push_back({line.step, *line.val_loss});
}

void TrainLog::fail_to_write(int error) const {
    fail("%s: cannot write the log: %s", printable(path_).c_str(), std::strerror(error));
}

}  // namespace nib

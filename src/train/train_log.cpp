#include "train/train_log.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/atomic_file.h"

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
    if (!resumed_) return;
    std::ifstream in(path_, std::ios::binary);
    std::string kept;
    bool dropped = false;
    for (std::string text; std::getline(in, text);) {
        const auto line = parse(text);
        if (line && line->step <= *resumed_step && !in.eof()) {
            kept += text + "\n";
            note(*line);
        } else {
            dropped = true;
        }
    }
    if (dropped) write_file_atomically(path_, kept);
}

void TrainLog::add(const LogLine& line) {
    if (!file_) file_.reset(std::fopen(path_.c_str(), resumed_ ? "ae" : "we"));
    if (!file_ || std::fputs(json(line).c_str(), file_.get()) < 0) fail_to_write(errno);
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

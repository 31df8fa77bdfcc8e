#include "train/train_log.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "train/event_log.h"

namespace nib {
std::string log_text(const LogLine& line) {
    nlohmann::ordered_json object = {
        {"step", line.step}
    };
    for (const auto& [key, tag, value] : kLogColumns)
        object[key] = line.*value ? nlohmann::ordered_json(*(line.*value)) : nlohmann::ordered_json();
    for (const Score& score : line.scores) object["val_" + score.name] = score.value;
    for (const Score& score : line.others) object[score.name] = score.value;
    return object.dump();
}

std::optional<LogLine> parse_log_line(std::string_view text) {
    const auto object = nlohmann::ordered_json::parse(text, nullptr, false);
    if (!object.is_object() || !object.contains("step") || !object["step"].is_number_integer()) return std::nullopt;
    LogLine line;
    line.step = object["step"].get<int64_t>();
    for (const auto& [key, tag, value] : kLogColumns)
        if (object.contains(key) && object[key].is_number()) line.*value = object[key].get<double>();
    for (const auto& [key, value] : object.items()) {
        const std::string_view name = key;  // which a lambda can capture
        const bool column =
            std::any_of(std::begin(kLogColumns), std::end(kLogColumns), [&](const LogColumn& c) { return name == c.key; });
        if (column || key == "step" || !value.is_number()) continue;
        if (key.starts_with("val_"))
            line.scores.push_back({key.substr(4), value.get<double>()});
        else
            line.others.push_back({key, value.get<double>()});
    }
    return line;
}

TrainLog::TrainLog(std::string path, std::unique_ptr<EventLog> events)
    : path_(std::move(path)), events_(std::move(events)) {}

TrainLog::TrainLog(TrainLog&&) noexcept = default;

TrainLog::~TrainLog() = default;

void TrainLog::resume(int64_t step) {
    started_ = true;
    if (events_) events_->go_on_after(step);
    if (access(path_.c_str(), F_OK) != 0) return;
    open("a+e");
    std::rewind(file_.get());
    std::string text;
    long kept = 0;  // bytes
    for (int c; (c = std::getc(file_.get())) != EOF;) {
        text += static_cast<char>(c);
        if (c != '\n') continue;
        const auto line = parse_log_line(text);
        if (!line || line->step > step) break;
        kept = std::ftell(file_.get());
        note(*line);
        text.clear();
    }
    if (ftruncate(fileno(file_.get()), kept) != 0 || std::fseek(file_.get(), 0, SEEK_END) != 0) fail_to_write(errno);
}

void TrainLog::start() {
    started_ = true;
    open("we");
    write();
    flush();
}

void TrainLog::open(const char* mode) {
    file_.reset(std::fopen(path_.c_str(), mode));
    if (!file_) fail_to_write(errno);
}

void TrainLog::add(const LogLine& line) {
    pending_.push_back(line);
    note(line);
    if (started_) write();
}

void TrainLog::write() {
    if (!file_) open("ae");
    for (const LogLine& line : pending_) {
        if (std::fputs((log_text(line) + "\n").c_str(), file_.get()) < 0) fail_to_write(errno);
        if (events_) events_->add(line);
    }
    pending_.clear();
    if (std::chrono::steady_clock::now() - flushed_ > std::chrono::seconds(1)) flush();
}

void TrainLog::flush() {
    flushed_ = std::chrono::steady_clock::now();
    if (file_ && std::fflush(file_.get()) != 0) fail_to_write(errno);
    if (events_) events_->flush();
}

void TrainLog::note(const LogLine& line) {
    if (line.loss) train_.push_back({line.step, *line.loss});
    if (line.val_loss) val_.push_back({line.step, *line.val_loss});
    for (const Score& score : line.scores) {
        auto of = std::find_if(scores_.begin(), scores_.end(), [&](const ScoreCurve& c) { return c.name == score.name; });
        if (of == scores_.end()) of = scores_.insert(of, {score.name, {}});
        of->points.push_back({line.step, score.value});
    }
}

void TrainLog::fail_to_write(int error) const {
    fail("%s: cannot write the log: %s", printable(path_).c_str(), std::strerror(error));
}

}  // namespace nib

#include "train/run_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "io/read_file.h"
#include "train/checkpoint.h"

namespace nib {
namespace {

constexpr std::string_view kEnding = ".log.jsonl";
constexpr size_t kLongestLine = size_t{64} << 10;
constexpr size_t kMostScores = 32;
constexpr double kLargest = 1e100;  // sums of such values are still numbers

}  // namespace

void Series::add(int64_t step, double value) {
    while (static_cast<size_t>(step >> shift_) >= kMaxStretches) {  // two stretches become one
        for (size_t i = 0; i < stretches_.size(); ++i) {
            const Stretch from = stretches_[i];
            stretches_[i] = {};
            Stretch& to = stretches_[i / 2];
            to = {to.steps + from.steps, to.values + from.values, to.count + from.count};
        }
        stretches_.resize((stretches_.size() + 1) / 2);
        ++shift_;
    }
    const auto i = static_cast<size_t>(step >> shift_);
    if (i >= stretches_.size()) stretches_.resize(i + 1);
    Stretch& to = stretches_[i];
    to = {to.steps + static_cast<double>(step), to.values + value, to.count + 1};
    last_ = value;
}

std::vector<Series::Point> Series::points() const {
    std::vector<Point> all;
    for (const Stretch& s : stretches_)
        if (s.count > 0) all.push_back({s.steps / s.count, s.values / s.count});
    return all;
}

std::string log_file(const std::string& name) { return name.ends_with(".jsonl") ? name : RunFiles(name).log; }

std::string RunLog::name() const {
    std::string name = std::filesystem::path(path_).filename().string();
    if (name.ends_with(kEnding) && name.size() > kEnding.size()) name.resize(name.size() - kEnding.size());
    return name;
}

const Series& RunLog::of(std::string_view key) const {
    static const Series kNone;
    const auto* const column =
        std::find_if(std::begin(kLogColumns), std::end(kLogColumns), [&](const LogColumn& c) { return key == c.key; });
    if (column != std::end(kLogColumns)) return series_[column - kLogColumns];
    const auto other = std::find_if(others_.begin(), others_.end(), [&](const ScoreSeries& s) { return s.name == key; });
    return other != others_.end() ? other->values : kNone;
}

const RunLog::ScoreSeries* RunLog::drawn() const {
    std::vector<std::string> names;
    for (const ScoreSeries& score : scores_) names.push_back(score.name);
    const size_t drawn = drawn_score(names);
    return drawn < scores_.size() ? &scores_[drawn] : nullptr;
}

// Whether what was read last is no longer there: another file has this name now, or a resumed training has cut it back.
bool RunLog::replaced() const {
    struct stat opened, named;
    if (fstat(descriptor_, &opened) != 0 || !S_ISREG(opened.st_mode)) return false;
    if (stat(path_.c_str(), &named) == 0 && (named.st_ino != opened.st_ino || named.st_dev != opened.st_dev)) return true;
    const std::string expected = last_ + rest_;
    std::string found(expected.size(), '\0');
    const auto size = static_cast<ssize_t>(expected.size());
    return pread(descriptor_, found.data(), found.size(), offset_ - size) != size || found != expected;
}

void RunLog::close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
}

bool RunLog::read(const std::function<void(const LogLine&)>& seen) {
    bool changed = false;
    if (descriptor_ >= 0 && replaced()) {
        close();
        offset_ = 0, lines_ = 0, step_ = 0, seconds_ = 0, tokens_ = 0;
        rest_.clear(), last_.clear(), best_.reset();
        for (Series& series : series_) series = {};
        scores_.clear(), others_.clear();
        changed = true;
    }
    if (descriptor_ < 0) descriptor_ = open_to_read(path_);
    std::vector<char> buffer(size_t{256} << 10);
    for (;;) {
        const ssize_t count = ::read(descriptor_, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("%s: cannot read: %s", printable(path_).c_str(), std::strerror(errno));
        if (count == 0) return changed;
        offset_ += count;
        std::string_view text(buffer.data(), static_cast<size_t>(count));
        for (size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
            rest_ += text.substr(0, end + 1);
            take(rest_, seen);
            last_ = std::move(rest_);
            rest_.clear();
            changed = true;
        }
        rest_ += text;
        if (rest_.size() > kLongestLine)
            fail("%s: line %lld is longer than any of a training's log", printable(path_).c_str(),
                 static_cast<long long>(lines_ + 1));
    }
}

void RunLog::note(const std::vector<Score>& values, std::vector<ScoreSeries>& to) const {
    for (const Score& score : values) {
        if (!(std::abs(score.value) <= kLargest)) continue;
        auto of = std::find_if(to.begin(), to.end(), [&](const ScoreSeries& s) { return s.name == score.name; });
        if (of == to.end() && to.size() == kMostScores) continue;
        if (of == to.end()) of = to.insert(of, {score.name, {}});
        of->values.add(step_, score.value);
    }
}

void RunLog::take(std::string_view text, const std::function<void(const LogLine&)>& seen) {
    ++lines_;
    const auto line = parse_log_line(text);
    const auto sound = [&](const LogColumn& column) { return std::abs((*line.*column.value).value_or(0)) <= kLargest; };
    if (!line || line->step < 0 || !std::all_of(std::begin(kLogColumns), std::end(kLogColumns), sound))
        fail("%s: line %lld is not one of a training's log", printable(path_).c_str(), static_cast<long long>(lines_));
    if (line->step < first_step_) return;
    step_ = line->step;
    for (size_t i = 0; i < kColumns; ++i)
        if (const auto& value = *line.*kLogColumns[i].value) series_[i].add(step_, *value);
    note(line->scores, scores_);
    note(line->others, others_);
    if (line->val_loss && (!best_ || *line->val_loss < best_->val_loss)) best_ = {*line->val_loss, step_};
    seconds_ += line->seconds.value_or(0);
    tokens_ += line->seconds.value_or(0) * line->tok_s.value_or(0);
    if (seen) seen(*line);
}

}  // namespace nib

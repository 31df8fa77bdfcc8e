#include "io/progress.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace nib {
namespace {

constexpr std::chrono::milliseconds kInterval{100};  // between two updates of the live line

// Width of the terminal: a longer live line would scroll instead of being overwritten.
size_t columns(std::FILE* terminal) {
    winsize size{};
    return ioctl(fileno(terminal), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string describe(const Progress::Report& r) {
    std::string text =
        strprintf("step %lld/%lld  loss %.4f", static_cast<long long>(r.step), static_cast<long long>(r.steps), r.loss);
    if (r.val_loss) text += strprintf("  val %.4f", *r.val_loss);
    if (!r.others.empty()) text += "  " + r.others;
    text += strprintf("  lr %.2e  ", r.lr);
    text += r.tok_s < 10000 ? strprintf("%.0f tok/s", r.tok_s) : strprintf("%.1fk tok/s", r.tok_s / 1000);
    return text + "  " + clock_text(r.seconds_left) + " left";
}

}  // namespace

std::string clock_text(double seconds) {
    const auto whole = static_cast<long long>(std::clamp(std::round(seconds), 0.0, 1e9));
    if (whole < 3600) return strprintf("%02lld:%02lld", whole / 60, whole % 60);
    return strprintf("%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
}

Progress::Progress(std::FILE* out, bool live, int64_t every) : out_(out), live_(live), every_(every) {}

Progress::~Progress() { clear(); }

void Progress::step(const Report& report) {
    if (out_ == nullptr) return;
    if (live_) {
        if (due() || report.step == report.steps) show(describe(report));
    } else if (report.step == 1 || report.step == report.steps || report.step % every_ == 0) {
        line(describe(report));
    }
}

void Progress::line(const std::string& text) {
    if (out_ == nullptr) return;
    clear();
    std::fprintf(out_, "%s\n", text.c_str());
    std::fflush(out_);
}

void Progress::status(const std::string& text) {
    if (live_ && out_ != nullptr && due()) show(text);
}

void Progress::clear() {
    if (!shown_) return;
    std::fputs("\r\x1b[K", out_);
    std::fflush(out_);
    shown_ = false;
}

bool Progress::due() const { return std::chrono::steady_clock::now() >= next_; }

void Progress::show(const std::string& text) {
    next_ = std::chrono::steady_clock::now() + kInterval;
    std::fprintf(out_, "\r%s\x1b[K", text.substr(0, columns(out_) - 1).c_str());
    std::fflush(out_);
    shown_ = true;
}

}  // namespace nib

// The reward that a program of the user's says.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "task/rewards/reward.h"

namespace nib {
namespace {

using Clock = std::chrono::steady_clock;

// A shell that runs a command, with pipes to its input and from its output; ended with all it has started.
class Child {
public:
    explicit Child(const std::string& command) {
        int in[2], out[2];
        if (pipe2(in, O_CLOEXEC) != 0) fail("no pipe: %s", std::strerror(errno));
        if (pipe2(out, O_CLOEXEC) != 0) {
            close(in[0]), close(in[1]);
            fail("no pipe: %s", std::strerror(errno));
        }
        pid_ = fork();
        if (pid_ == 0) {
            setpgid(0, 0);
            signal(SIGPIPE, SIG_DFL);
            signal(SIGINT, SIG_IGN);  // the training saves first
            if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0) _exit(127);
            execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
            _exit(127);
        }
        close(in[0]), close(out[1]);
        to_ = in[1], from_ = out[0];
        if (pid_ < 0) {
            close_all();
            fail("no process: %s", std::strerror(errno));
        }
        setpgid(pid_, pid_);
        for (const int file : {to_, from_}) fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK);
    }
    ~Child() {
        close_all();
        if (pid_ <= 0) return;
        kill(-pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    // Hands over all input while it takes the output. False when the time is over.
    bool talk(std::string_view input, std::string& output, Clock::time_point until) {
        while (from_ >= 0) {
            pollfd files[2] = {
                {from_, POLLIN,  0},
                {to_,   POLLOUT, 0}
            };
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
            if (left <= 0) return false;
            const int ready = poll(files, to_ >= 0 ? 2 : 1, static_cast<int>(std::min<long long>(left, 1000)));
            if (ready < 0 && errno != EINTR) fail("the command for rewards: %s", std::strerror(errno));
            if (ready <= 0) continue;
            if (to_ >= 0 && files[1].revents != 0) give(input);
            if (files[0].revents != 0) take(output);
        }
        return true;
    }

    // How it ended; nothing: well. After talk().
    std::string end(Clock::time_point until) {
        int status = 0;
        for (;;) {
            const pid_t done = waitpid(pid_, &status, WNOHANG);
            if (done == pid_) break;
            if (Clock::now() >= until) return "goes on after its output ended";
            usleep(2000);
        }
        kill(-pid_, SIGKILL);  // what it has left behind
        pid_ = -1;
        if (WIFSIGNALED(status)) return strprintf("was ended by signal %d", WTERMSIG(status));
        return WEXITSTATUS(status) == 0 ? "" : strprintf("failed with exit code %d", WEXITSTATUS(status));
    }

private:
    static constexpr size_t kMostOutput = size_t{16} << 20;

    void give(std::string_view& input) {
        const ssize_t count = write(to_, input.data(), input.size());
        if (count > 0) input.remove_prefix(static_cast<size_t>(count));
        const bool closed = count < 0 && errno != EAGAIN && errno != EINTR;  // it may need no input
        if (!input.empty() && !closed) return;
        close(to_);
        to_ = -1;
    }
    void take(std::string& output) {
        char bytes[4096];
        const ssize_t count = read(from_, bytes, sizeof bytes);
        if (count > 0) output.append(bytes, static_cast<size_t>(count));
        if (output.size() > kMostOutput) fail("the command for rewards writes no end of output");
        if (count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR))) return;
        close(from_);
        from_ = -1;
    }
    void close_all() {
        for (int* file : {&to_, &from_}) {
            if (*file >= 0) close(*file);
            *file = -1;
        }
    }

    pid_t pid_ = -1;
    int to_ = -1, from_ = -1;
};

class CommandReward : public Reward {
public:
    CommandReward(std::string command, double timeout) : command_(std::move(command)), timeout_(timeout) {}

    std::vector<double> score(std::span<const RewardText> texts) override {
        std::string input, output;
        for (const RewardText& text : texts) {
            nlohmann::ordered_json line = {
                {"prompt",   text.prompt  },
                {"response", text.response}
            };
            if (!text.reference.empty()) line["reference"] = text.reference;
            constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;  // what is not UTF-8
            input += line.dump(-1, ' ', false, kReplace) + '\n';
        }
        const auto until = Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1000 * timeout_));
        Child child(command_);
        if (!child.talk(input, output, until))
            fail("the command for rewards, `%s`, took more than %g seconds", printable(command_, 60).c_str(), timeout_);
        if (const std::string end = child.end(until); !end.empty())
            fail("the command for rewards, `%s`, %s", printable(command_, 60).c_str(), end.c_str());
        return numbers(output, texts.size());
    }

private:
    std::vector<double> numbers(std::string_view output, size_t count) const {
        std::vector<double> all;
        while (!output.empty()) {
            const size_t end = std::min(output.find('\n'), output.size());
            std::string_view line = output.substr(0, end);
            output.remove_prefix(std::min(end + 1, output.size()));
            while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
            while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
            if (line.empty()) continue;
            double number = 0;
            const auto read = std::from_chars(line.data(), line.data() + line.size(), number);
            if (read.ec != std::errc() || read.ptr != line.data() + line.size())
                fail("the command for rewards, `%s`, wrote `%s`, which is no number", printable(command_, 60).c_str(),
                     printable(std::string(line), 40).c_str());
            all.push_back(number);
        }
        if (all.size() != count)
            fail("the command for rewards, `%s`, wrote %s for %s", printable(command_, 60).c_str(),
                 counted(std::ssize(all), "number").c_str(), counted(static_cast<int64_t>(count), "text").c_str());
        return all;
    }

    const std::string command_;
    const double timeout_;  // seconds
};

}  // namespace

std::unique_ptr<Reward> make_command_reward(const std::string& command, double timeout) {
    if (!(timeout > 0)) fail("a command needs some time, not %g seconds", timeout);
    return std::make_unique<CommandReward>(command, timeout);
}

}  // namespace nib

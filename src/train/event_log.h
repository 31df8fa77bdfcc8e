// The log of a training for TensorBoard: event files, which are TFRecords of Event messages. Written after
// https://www.tensorflow.org/tutorials/load_data/tfrecord and tensorflow/core/{util/event,framework/summary}.proto.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "train/train_log.h"

namespace nib {

/// CRC-32C (Castagnoli; RFC 3720) of some bytes.
uint32_t crc32c(std::string_view bytes);

class EventLog {
public:
    /// Of the training whose curves TensorBoard shows under `name`, below `folder`. Creates nothing yet.
    EventLog(const std::string& folder, const std::string& name);

    /// Error when no file can be created there.
    void check() const;
    /// Where the next line begins: what earlier files say of later steps does not count any more.
    void go_on_after(int64_t step) { step_ = step; }
    /// Starts a new file with the first line. Error when it cannot be written.
    void add(const LogLine& line);
    /// Passes all lines on to the system.
    void flush();

private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    void open();
    void write(const std::string& event);
    [[noreturn]] void fail_to_write(int error) const;

    std::string folder_;  // of this training
    int64_t step_ = 0;
    std::string path_;
    std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace nib

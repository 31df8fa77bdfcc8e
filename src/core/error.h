// The two ways in which nib reports that something is wrong.
//
// `Error` is for the outside world (files, text, options, machines): its message is one line that says what is wrong, where
// (file, tensor, byte offset, option) and what to do about it; the command line prints it and exits with code 1, or 2 for a
// `UsageError`: options that no file and no machine could make right.
// `CHECK` is for broken invariants of nib itself: it names the condition and aborts.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace nib {

/// What the caller could do about a problem. The library says which; a program says how, in the words of its own options.
enum class Remedy {
    None,
    ReplaceOutput,    // there is something where a file is to be written
    ResumeOrReplace,  // and it is of a training that can go on
    ShortenContext,   // or give more text
    LengthenContext,
    SkipUnknown,         // EncodeOptions::skip_unknown, or remove the text
    GiveHeads,           // ImportHints::heads
    ChangeHeads,         // to another value
    GiveActivation,      // ImportHints::act
    GiveVocabulary,      // ConvertRequest::vocab
    LeaveOutVocabulary,  // convert the model without it
    GiveBase,            // ConvertRequest::base, ExportRequest::base
    ChooseTemplate,      // ChatTemplate::find
};

class Error : public std::runtime_error {
public:
    explicit Error(const std::string& message, Remedy remedy = Remedy::None)
        : std::runtime_error(message), remedy_(remedy) {}
    /// About the value of one of the caller's options: what() is "OPTION PROBLEM".
    Error(const std::string& option, const std::string& problem)
        : std::runtime_error(option + " " + problem), about_option_(true) {}
    /// Whether what() begins with the name of an option.
    bool about_option() const { return about_option_; }
    Remedy remedy() const { return remedy_; }
    /// The same error, "WHERE: MESSAGE".
    Error within(const std::string& where) const { return Error(where + ": " + what(), remedy_); }

private:
    bool about_option_ = false;
    Remedy remedy_ = Remedy::None;
};

class UsageError : public Error {
public:
    using Error::Error;
};

/// printf into a std::string.
[[gnu::format(printf, 1, 2)]] std::string strprintf(const char* format, ...);

/// Throws Error with a printf-formatted message (one line, no "error:" prefix, no final newline).
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...);
[[noreturn, gnu::format(printf, 2, 3)]] void fail_with(Remedy remedy, const char* format, ...);

/// The same with UsageError.
[[noreturn, gnu::format(printf, 1, 2)]] void fail_usage(const char* format, ...);

/// The same about an option: "lr", "is -1; it must be positive".
[[noreturn, gnu::format(printf, 2, 3)]] void fail_option(const char* option, const char* format, ...);
[[noreturn, gnu::format(printf, 2, 3)]] void fail_usage_option(const char* option, const char* format, ...);

/// Text that came from outside, made safe to print on one line of a terminal: control characters and bytes that are not
/// UTF-8 become \xNN, and at most `limit` bytes are kept.
std::string printable(std::string_view text, size_t limit = 200);

/// A count of bytes for people: "512 B", "3.4 MiB", "1.2 GiB".
std::string human_bytes(double bytes);

/// "1 layer", "2 layers".
std::string counted(int64_t count, const char* noun);

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace nib

#define CHECK(condition) ((condition) ? void(0) : ::nib::check_failed(#condition, __FILE__, __LINE__))

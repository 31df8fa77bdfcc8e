// JSON read as a stream of events: the memory used is bounded by the text's size, and nesting may be of any depth.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace nib {

/// Refuses every event that a derived class does not override. Handlers throw Error.
class JsonEvents : public nlohmann::json_sax<nlohmann::json> {
public:
    /// `where` begins every message: the file and which part of it.
    explicit JsonEvents(std::string where) : where_(std::move(where)) {}

    bool null() override { unexpected("null"); }
    bool boolean(bool) override { unexpected("true or false"); }
    bool number_integer(int64_t) override { unexpected("a negative number"); }
    bool number_unsigned(uint64_t) override { unexpected("a number"); }
    bool number_float(double, const std::string&) override { unexpected("a fraction"); }
    bool string(std::string&) override { unexpected("a string"); }
    bool binary(binary_t&) override { unexpected("binary data"); }
    bool start_object(size_t) override { unexpected("an object"); }
    bool key(std::string&) override { unexpected("a key"); }
    bool end_object() override { return true; }
    bool start_array(size_t) override { unexpected("an array"); }
    bool end_array() override { return true; }
    bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& error) override {
        fail("%s: is not JSON at byte %zu of it (%s); the file is damaged", where_.c_str(), position,
             printable(error.what(), 300).c_str());
    }

    /// Reads all of `text`.
    void parse(std::string_view text) {
        try {
            nlohmann::json::sax_parse(text.begin(), text.end(), this);
        } catch (const nlohmann::json::exception& error) {
            fail("%s: cannot be read as JSON: %s", where_.c_str(), printable(error.what(), 300).c_str());
        }
    }

protected:
    const char* where() const { return where_.c_str(); }

    [[noreturn]] void unexpected(const char* what) const {
        fail("%s: holds %s where %s is expected", where(), what, expected().c_str());
    }

private:
    /// What is expected next: "a string".
    virtual std::string expected() const = 0;

    std::string where_;
};

}  // namespace nib

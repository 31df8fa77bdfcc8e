// Messages in Protocol Buffers' wire format, read and written field by field without a schema.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nib {

class ProtobufField {
public:
    /// The field number.
    uint64_t number() const { return number_; }

    // The value. Error if the field has another wire type, or a whole number is not from 0 to `largest`.
    bool truth() const;
    int64_t whole_number(int64_t largest) const;
    float real() const;
    /// Text, bytes or an embedded message, in the file's memory.
    std::string_view bytes() const;
    /// Where the value begins in the file.
    size_t offset() const { return offset_; }

private:
    friend class ProtobufReader;
    friend class ProtobufWriter;
    enum WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

    [[noreturn]] void wrong(const char* expected) const;

    const std::string* name_ = nullptr;
    uint64_t number_ = 0;
    WireType type_ = kVarint;
    uint64_t value_ = 0;
    std::string_view bytes_;
    size_t offset_ = 0;
};

class ProtobufReader {
public:
    /// Reads `file`, which must outlive the reader and its fields, as must `name`, which is for messages.
    ProtobufReader(std::string_view file, const std::string& name) : name_(&name), rest_(file) {}
    /// Reads the message embedded in a field.
    explicit ProtobufReader(const ProtobufField& field)
        : name_(field.name_), rest_(field.bytes()), offset_(field.offset()) {}

    /// Reads the next field; false at the end. Error, with the byte, if the message is damaged.
    bool next(ProtobufField& field);

private:
    uint64_t varint();
    std::string_view take(uint64_t size);
    [[noreturn]] void damaged(const char* what) const;

    const std::string* name_;
    std::string_view rest_;
    size_t offset_ = 0;  // of the rest in the file
};

/// Puts a message together, field by field.
class ProtobufWriter {
public:
    void whole_number(uint64_t field, uint64_t value);
    void real(uint64_t field, float value);
    void real(uint64_t field, double value);
    /// Text, bytes or another message.
    void bytes(uint64_t field, std::string_view value);

    const std::string& message() const { return message_; }

private:
    void varint(uint64_t value);
    void little_endian(uint64_t value, int bits);

    std::string message_;
};

}  // namespace nib

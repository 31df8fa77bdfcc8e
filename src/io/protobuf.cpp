#include "io/protobuf.h"

#include <bit>

#include "core/error.h"

namespace nib {
namespace {

uint64_t little_endian(std::string_view bytes) {
    uint64_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

}  // namespace

void ProtobufField::wrong(const char* expected) const {
    fail("%s: field %llu at byte %zu is not %s", name_->c_str(), static_cast<unsigned long long>(number_), offset_,
         expected);
}

bool ProtobufField::truth() const { return whole_number(INT64_MAX) != 0; }

int64_t ProtobufField::whole_number(int64_t largest) const {
    if (type_ != kVarint) wrong("a whole number");
    if (value_ > static_cast<uint64_t>(largest))
        wrong(strprintf("from 0 to %lld", static_cast<long long>(largest)).c_str());
    return static_cast<int64_t>(value_);
}

float ProtobufField::real() const {
    if (type_ != kFixed32) wrong("a number of 32 bits");
    return std::bit_cast<float>(static_cast<uint32_t>(value_));
}

std::string_view ProtobufField::bytes() const {
    if (type_ != kBytes) wrong("text or a message");
    return bytes_;
}

void ProtobufReader::damaged(const char* what) const { fail("%s: damaged at byte %zu: %s", name_->c_str(), offset_, what); }

std::string_view ProtobufReader::take(uint64_t size) {
    if (size > rest_.size()) damaged("the file or message ends inside a field");
    const std::string_view taken = rest_.substr(0, static_cast<size_t>(size));
    rest_.remove_prefix(taken.size());
    offset_ += taken.size();
    return taken;
}

// Seven bits per byte, the lowest first; the highest bit of a byte means that more follow.
uint64_t ProtobufReader::varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const auto byte = static_cast<unsigned char>(take(1)[0]);
        value |= static_cast<uint64_t>(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
    damaged("a number has more than 64 bits");
}

bool ProtobufReader::next(ProtobufField& field) {
    if (rest_.empty()) return false;
    const uint64_t tag = varint();
    field.name_ = name_;
    field.number_ = tag >> 3;
    field.type_ = static_cast<ProtobufField::WireType>(tag & 7);
    if (field.number_ == 0) damaged("there is no field 0");
    field.value_ = 0;
    field.bytes_ = {};
    field.offset_ = offset_;
    switch (field.type_) {
        case ProtobufField::kVarint: field.value_ = varint(); return true;
        case ProtobufField::kFixed64: field.value_ = little_endian(take(8)); return true;
        case ProtobufField::kFixed32: field.value_ = little_endian(take(4)); return true;
        case ProtobufField::kBytes: {
            const uint64_t size = varint();
            field.offset_ = offset_;
            field.bytes_ = take(size);
            return true;
        }
    }
    damaged("the field has a wire type that is not used any more");
}

void ProtobufWriter::varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) message_ += static_cast<char>(value | 0x80);
    message_ += static_cast<char>(value);
}

void ProtobufWriter::whole_number(uint64_t field, uint64_t value) {
    varint(field << 3 | ProtobufField::kVarint);
    varint(value);
}

void ProtobufWriter::little_endian(uint64_t value, int bits) {
    for (int shift = 0; shift < bits; shift += 8) message_ += static_cast<char>(value >> shift);
}

void ProtobufWriter::real(uint64_t field, float value) {
    varint(field << 3 | ProtobufField::kFixed32);
    little_endian(std::bit_cast<uint32_t>(value), 32);
}

void ProtobufWriter::real(uint64_t field, double value) {
    varint(field << 3 | ProtobufField::kFixed64);
    little_endian(std::bit_cast<uint64_t>(value), 64);
}

void ProtobufWriter::bytes(uint64_t field, std::string_view value) {
    varint(field << 3 | ProtobufField::kBytes);
    varint(value.size());
    message_ += value;
}

}  // namespace nib

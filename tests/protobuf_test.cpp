// Messages in Protocol Buffers' wire format.
#include "io/protobuf.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protobuf_fields.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;

const std::string kName = "x.model";

TEST(Protobuf, FieldsOfAMessage) {
    const std::string inner = float_field(2, -1.5f);
    const std::string file = number_field(1, 300) + bytes_field(2, "text") + bytes_field(3, inner) + "\x21"s +
                             std::string(8, '\1') + number_field(100000, UINT64_MAX) + number_field(5, 0) +
                             bytes_field(6, "");
    ProtobufReader reader(file, kName);
    ProtobufField field;
    ASSERT_TRUE(reader.next(field));
    EXPECT_EQ(field.number(), 1u);
    EXPECT_EQ(field.whole_number(300), 300);
    EXPECT_TRUE(field.truth());
    ASSERT_TRUE(reader.next(field));
    EXPECT_EQ(field.bytes(), "text");
    EXPECT_EQ(field.offset(), file.find("text"));
    ASSERT_TRUE(reader.next(field));
    ProtobufReader message(field);
    ProtobufField part;
    ASSERT_TRUE(message.next(part));
    EXPECT_EQ(part.number(), 2u);
    EXPECT_EQ(part.real(), -1.5f);
    EXPECT_EQ(part.offset(), file.find(inner) + 1);
    EXPECT_FALSE(message.next(part));
    ASSERT_TRUE(reader.next(field));  // a number of 64 bits, passed over
    EXPECT_EQ(field.number(), 4u);
    ASSERT_TRUE(reader.next(field));
    EXPECT_EQ(field.number(), 100000u);
    ASSERT_TRUE(reader.next(field));
    EXPECT_FALSE(field.truth());
    ASSERT_TRUE(reader.next(field));
    EXPECT_EQ(field.bytes(), "");
    EXPECT_FALSE(reader.next(field));
}

TEST(Protobuf, WrongTypes) {
    const std::string file = number_field(1, 7) + bytes_field(2, "text");
    ProtobufReader reader(file, kName);
    ProtobufField number, text;
    reader.next(number);
    reader.next(text);
    expect_contains(error_of([&] { number.bytes(); }), {kName, "field 1", "byte 1", "text"});
    expect_contains(error_of([&] { number.real(); }), {"field 1", "32 bits"});
    expect_contains(error_of([&] { number.whole_number(6); }), {"field 1", "from 0 to 6"});
    expect_contains(error_of([&] { text.whole_number(6); }), {"field 2", "byte 4", "whole number"});
    expect_contains(error_of([&] { text.truth(); }), {"field 2", "whole number"});
    expect_contains(error_of([&] { ProtobufReader message(number); }), {"field 1", "message"});
}

TEST(Protobuf, Damaged) {
    const auto message = [](const std::string& file) {
        return error_of([&] {
            ProtobufReader reader(file, kName);
            for (ProtobufField field; reader.next(field);) {
            }
        });
    };
    const std::string whole = number_field(1, 300) + bytes_field(2, "text") + float_field(3, 1);
    EXPECT_EQ(message(whole), "");
    EXPECT_EQ(message(""), "");
    int damaged = 0;
    for (size_t size = 0; size < whole.size(); ++size) damaged += message(whole.substr(0, size)) != "";
    EXPECT_EQ(damaged, 11);  // all but after a field
    expect_contains(message(whole.substr(0, 8)), {kName, "damaged at byte 5", "ends inside a field"});
    expect_contains(message(number_field(0, 1)), {"no field 0"});
    expect_contains(message("\x0B"), {"byte 1", "wire type"});
    expect_contains(message("\x0F"), {"byte 1", "wire type"});
    expect_contains(message("\x08" + std::string(10, '\xFF')), {"64 bits"});
    expect_contains(message("\x0A" + varint(UINT64_MAX)), {"ends inside"});
    // A message ends where its field ends, whatever follows in the file.
    const std::string nested = bytes_field(1, "\x0A\x05"s) + bytes_field(2, "text");
    ProtobufReader reader(nested, kName);
    ProtobufField field, part;
    reader.next(field);
    ProtobufReader inner(field);
    expect_contains(error_of([&] { inner.next(part); }), {"byte 4", "ends inside"});
}

}  // namespace
}  // namespace nib

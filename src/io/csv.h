// CSV by RFC 4180.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nib {

/// The fields of one record, which RecordReader finds. A field that begins with a quote ends with one; within it, commas
/// and line breaks are text, and two quotes are one. In other fields a quote is text. Error for a field that goes on after
/// its closing quote, or has none.
std::vector<std::string> csv_fields(std::string_view record);

}  // namespace nib

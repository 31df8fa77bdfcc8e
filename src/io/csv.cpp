#include "io/csv.h"

#include <algorithm>

#include "core/error.h"

namespace nib {
namespace {

// A field that begins with the quote at byte `at`, which comes to be where the field ends.
std::string quoted_field(std::string_view record, size_t& at, size_t number) {
    std::string field;
    for (++at;; ++at) {
        const size_t quote = record.find('"', at);
        if (quote == std::string_view::npos) fail("the quote that opens field %zu never closes", number);
        field += record.substr(at, quote - at);
        at = quote + 1;
        if (at == record.size() || record[at] != '"') break;
        field += '"';
    }
    if (at < record.size() && record[at] != ',') fail("field %zu goes on after its closing quote", number);
    return field;
}

}  // namespace

std::vector<std::string> csv_fields(std::string_view record) {
    std::vector<std::string> fields;
    for (size_t at = 0;; ++at) {
        if (at < record.size() && record[at] == '"') {
            fields.push_back(quoted_field(record, at, fields.size() + 1));
        } else {
            const size_t end = std::min(record.find(',', at), record.size());
            fields.emplace_back(record.substr(at, end - at));
            at = end;
        }
        if (at == record.size()) return fields;
    }
}

}  // namespace nib

#include "core/backend.h"

#include "core/error.h"

namespace nib {

size_t fit_segment(size_t at, size_t bytes, size_t segment, const std::string& name) {
    if (bytes > segment)
        fail(
            "%s needs %s of contiguous memory, but the device gives at most %s; choose a smaller model, batch or "
            "context",
            name.empty() ? "an intermediate result" : ("tensor `" + printable(name) + "`").c_str(),
            human_bytes(static_cast<double>(bytes)).c_str(), human_bytes(static_cast<double>(segment)).c_str());
    return bytes <= segment - at % segment ? at : at - at % segment + segment;
}

}  // namespace nib

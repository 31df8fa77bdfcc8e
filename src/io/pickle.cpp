#include "io/pickle.h"

#include "io/pickle_format.h"

namespace nib {

using Kind = PickleValue::Kind;

std::optional<bool> PickleValue::boolean() const {
    const bool* value = std::get_if<bool>(&content_);
    return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<int64_t> PickleValue::integer() const {
    return kind_ == Kind::Int ? std::optional(std::get<int64_t>(content_)) : std::nullopt;
}

std::optional<double> PickleValue::number() const {
    if (kind_ == Kind::Int) return static_cast<double>(std::get<int64_t>(content_));
    return kind_ == Kind::Float ? std::optional(std::get<double>(content_)) : std::nullopt;
}

std::optional<std::string_view> PickleValue::text() const {
    return kind_ == Kind::Text ? std::optional(std::get<std::string_view>(content_)) : std::nullopt;
}

const PickleTensor* PickleValue::tensor() const {
    const auto* value = std::get_if<std::unique_ptr<PickleTensor>>(&content_);
    return value != nullptr ? value->get() : nullptr;
}

const PickleStorage* PickleValue::storage() const {
    const auto* value = std::get_if<std::unique_ptr<PickleStorage>>(&content_);
    return value != nullptr ? value->get() : nullptr;
}

std::string_view PickleValue::name() const {
    if (const auto* object = std::get_if<std::unique_ptr<Parts>>(&content_)) return (*object)->maker->name();
    const auto* global = std::get_if<const pickle::KnownGlobal*>(&content_);
    return global != nullptr ? (*global)->name : std::string_view();
}

std::span<const PickleValue* const> PickleValue::elements() const {
    if (const auto* tuple = std::get_if<std::span<const PickleValue* const>>(&content_)) return *tuple;
    const auto* list = std::get_if<std::unique_ptr<Elements>>(&content_);
    return list != nullptr ? std::span<const PickleValue* const>(**list) : std::span<const PickleValue* const>();
}

std::span<const PickleItem> PickleValue::entries() const {
    const auto* dict = std::get_if<std::unique_ptr<Entries>>(&content_);
    return dict != nullptr ? std::span<const PickleItem>(**dict) : std::span<const PickleItem>();
}

const PickleValue* PickleValue::find(std::string_view key) const {
    if (const auto* object = std::get_if<std::unique_ptr<Parts>>(&content_)) return find_attribute(**object, key);
    const auto items = entries();
    for (size_t i = items.size(); i-- > 0;) {
        if (items[i].key->kind_ == Kind::Text && items[i].key->text() == key) return items[i].value;
    }
    return nullptr;
}

// Attributes are in a dict or, for classes with __slots__, in a pair: (dict or None, dict). A class derived from dict may
// get its items from a dict among its arguments.
const PickleValue* PickleValue::find_attribute(const Parts& object, std::string_view key) {
    for (size_t i = object.given.size(); i-- > 0;) {
        const PickleValue* given = object.given[i];
        const bool few = given->kind_ == Kind::Tuple && given->elements().size() <= 2;
        for (const PickleValue* part : few ? given->elements() : std::span<const PickleValue* const>(&given, 1)) {
            const PickleValue* found = part->kind_ == Kind::Dict ? part->find(key) : nullptr;
            if (found != nullptr) return found;
        }
    }
    return nullptr;
}

}  // namespace nib

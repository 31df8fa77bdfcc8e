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
    if (kind_ == Kind::Global) return pickle::kGlobals[static_cast<size_t>(std::get<int64_t>(content_))].name;
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

std::span<const PickleValue* const> PickleValue::elements() const {
    if (const auto* tuple = std::get_if<std::span<const PickleValue* const>>(&content_)) return *tuple;
    const auto* list = std::get_if<std::unique_ptr<Elements>>(&content_);
    return list != nullptr ? std::span<const PickleValue* const>(**list) : std::span<const PickleValue* const>();
}

std::span<const PickleItem> PickleValue::entries() const {
    const auto* state = std::get_if<const PickleValue*>(&content_);
    const PickleValue& dict = state != nullptr ? **state : *this;
    const auto* value = std::get_if<std::unique_ptr<Entries>>(&dict.content_);
    return value != nullptr ? std::span<const PickleItem>(**value) : std::span<const PickleItem>();
}

const PickleValue* PickleValue::find(std::string_view key) const {
    const auto items = entries();
    for (size_t i = items.size(); i-- > 0;) {
        if (items[i].key->kind_ == Kind::Text && items[i].key->text() == key) return items[i].value;
    }
    return nullptr;
}

}  // namespace nib

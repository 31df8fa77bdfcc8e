// What the names and calls of a pickle mean: those that PyTorch writes are known, all others make opaque objects.
#include <algorithm>
#include <iterator>
#include <memory>

#include "core/error.h"
#include "io/pickle_machine.h"

namespace nib {

using namespace pickle;

namespace {

constexpr size_t kMaxDimensions = 64;
constexpr size_t kMaxNameBytes = 200;  // of an unknown name, which is only printed

bool makes_weights(const KnownGlobal& global) {
    return global.role == Role::Array ||
           (global.role == Role::Unknown && global.name.starts_with("torch._utils._rebuild_"));
}

bool makes_tensors(Role role) { return role >= Role::TensorV1 && role <= Role::Parameter; }

}  // namespace

PickleMachine::Value PickleMachine::global(std::string_view module, std::string_view name) {
    const auto matches = [&](const KnownGlobal& known) {
        const std::string_view full = known.name;
        return full.size() == module.size() + 1 + name.size() && full.starts_with(module) && full[module.size()] == '.' &&
               full.ends_with(name);
    };
    const KnownGlobal* found = std::find_if(std::begin(kGlobals), std::end(kGlobals), matches);
    if (found == std::end(kGlobals)) {
        const std::string full =
            std::string(module.substr(0, kMaxNameBytes)) + "." + std::string(name.substr(0, kMaxNameBytes));
        const size_t size = std::min(full.size(), kMaxNameBytes);
        std::pmr::polymorphic_allocator<std::byte> allocator(pickle_.memory_.get());
        char* text = static_cast<char*>(allocator.allocate_bytes(size, 1));
        std::copy_n(full.begin(), size, text);
        found = allocator.new_object<KnownGlobal>(named({text, size}, Role::Unknown));
    }
    PickleValue* made = make(Kind::Global, found);
    made->holds_weights_ = makes_weights(*found);
    return made;
}

PickleMachine::Value PickleMachine::call(Value callee, Value arguments) {
    const Value made = callee->kind_ == Kind::Global && arguments->kind_ == Kind::Tuple
                           ? call_known(known(callee), arguments->elements())
                           : nullptr;
    return made != nullptr ? made : object(callee, arguments);
}

// nullptr if nib does not know what such a call returns.
PickleMachine::Value PickleMachine::call_known(const KnownGlobal& function, Arguments arguments) {
    const size_t count = arguments.size();
    const Value first = count > 0 ? arguments[0] : none_;
    switch (function.role) {
        case Role::OrderedDict: return count == 0 ? make(Kind::Dict) : count == 1 ? ordered_dict(first) : nullptr;
        case Role::Set:
            if (count == 0) return make(Kind::Set);
            return count == 1 && first->kind_ == Kind::List ? set_of(first) : nullptr;
        case Role::NoBytes: return count == 0 ? make(Kind::Other) : nullptr;
        case Role::Encode:
            return count == 2 && first->kind_ == Kind::Text && arguments[1]->text() == "latin1" ? make(Kind::Other)
                                                                                                : nullptr;
        case Role::Size: return count == 1 && first->kind_ == Kind::Tuple ? first : nullptr;
        case Role::NewObject: {
            if (first->kind_ != Kind::Global && first->kind_ != Kind::Object) return nullptr;
            PickleValue* made = object(first);
            for (const Value argument : arguments.subspan(1)) give(made, argument);
            return made;
        }
        case Role::TensorV1:
        case Role::TensorV2:
        case Role::TensorV3:
        case Role::Parameter: return call_tensor_maker(function, arguments);
        case Role::FromType: return count == 4 ? from_type(arguments) : unknown_tensor(make(Kind::Global, &function));
        default: return nullptr;
    }
}

PickleMachine::Value PickleMachine::call_tensor_maker(const KnownGlobal& function, Arguments arguments) {
    const auto unknown =
        std::find_if(arguments.begin(), arguments.end(), [](Value argument) { return argument->kind_ == Kind::Object; });
    const size_t count = arguments.size();
    const bool parameter = function.role == Role::Parameter;
    if (unknown != arguments.end() && (!parameter || unknown == arguments.begin())) return unknown_tensor(*unknown);
    if (parameter && count >= 3 && count <= 4 && arguments[0]->kind_ == Kind::Tensor) return arguments[0];
    if (function.role == Role::TensorV1 && count == 4) return tensor(arguments, nullptr, none_);
    if (function.role == Role::TensorV2 && (count == 6 || count == 7)) {
        return tensor(arguments, nullptr, count == 7 ? arguments[6] : none_);
    }
    if (function.role == Role::TensorV3 && (count == 7 || count == 8)) {
        return tensor(arguments, arguments[6], count == 8 ? arguments[7] : none_);
    }
    fail("%s: byte %zu: calls `%s` with arguments that PyTorch does not give it; the file is damaged", where_.c_str(),
         opcode_at_, std::string(function.name).c_str());
}

// _rebuild_tensor(storage, offset, size, strides); _v2 adds (requires_grad, hooks[, metadata]), _v3 (requires_grad, hooks,
// type[, metadata]).
PickleMachine::Value PickleMachine::tensor(Arguments arguments, Value type, Value metadata) {
    const PickleStorage* storage = arguments[0]->storage();
    const auto offset = arguments[1]->integer();
    if (storage == nullptr || !offset) damaged("makes a tensor of something that is no storage and offset");
    const bool lazy = !metadata->entries().empty();
    PickleTensor tensor{storage, storage->type, storage->type_name, *offset, arguments[2], arguments[3], lazy};
    if (check_integers(tensor.shape) != check_integers(tensor.strides)) {
        damaged("makes a tensor with more sizes than strides or fewer");
    }
    if (type != nullptr) {
        const bool is_type = type->kind_ == Kind::Global && (known(type).role == Role::Type ||
                                                             (known(type).role == Role::Unknown && !type->holds_weights_));
        if (!is_type) damaged("makes a tensor of what is no type");
        tensor.type = known(type).type;
        tensor.type_name = known(type).name;
    } else if (storage->untyped) {
        damaged("makes a tensor without a type");
    }
    PickleValue* made = make(Kind::Tensor, std::make_unique<PickleTensor>(tensor));
    made->holds_weights_ = true;
    return made;
}

// Returns how many there are.
size_t PickleMachine::check_integers(Value tuple) const {
    if (tuple->kind_ != Kind::Tuple) damaged("makes a tensor whose shape is not a tuple");
    if (tuple->elements().size() > kMaxDimensions) damaged("makes a tensor with more than 64 dimensions");
    for (const Value value : tuple->elements()) {
        if (value->kind_ != Kind::Int) damaged("makes a tensor whose shape is not of integers");
    }
    return tuple->elements().size();
}

// _rebuild_from_type_v2(function, class, arguments, state): a tensor with attributes, or of a class derived from Tensor,
// whose numbers may mean something else.
PickleMachine::Value PickleMachine::from_type(Arguments arguments) {
    const auto is = [&](size_t i, auto&& matches) {
        return arguments[i]->kind_ == Kind::Global && matches(known(arguments[i]).role);
    };
    if (!is(0, makes_tensors)) return unknown_tensor(arguments[0]);
    if (!is(1, [](Role role) { return role == Role::TensorClass; })) return unknown_tensor(arguments[1]);
    if (arguments[2]->kind_ != Kind::Tuple) damaged("calls a function without a tuple of arguments");
    return call_tensor_maker(known(arguments[0]), arguments[2]->elements());
}

// OrderedDict([[key, value], ...]), as Python 2 writes it: the list itself becomes the dict.
PickleMachine::Value PickleMachine::ordered_dict(Value pairs) {
    if (pairs->kind_ != Kind::List) return nullptr;
    auto entries = std::make_unique<PickleValue::Entries>();
    for (const Value pair : pairs->elements()) {
        if (pair->elements().size() != 2) return nullptr;
        entries->push_back({pair->elements()[0], pair->elements()[1]});
    }
    auto* dict = const_cast<PickleValue*>(pairs);
    dict->kind_ = Kind::Dict;
    dict->content_ = std::move(entries);
    return dict;
}

// set([...]): likewise, the list itself becomes the set.
PickleMachine::Value PickleMachine::set_of(Value list) {
    auto* set = const_cast<PickleValue*>(list);
    set->kind_ = Kind::Set;
    return set;
}

// ("storage", ...), or ("module", class, file, source) for a module saved whole before PyTorch 1.6.
PickleMachine::Value PickleMachine::persistent(Value id) {
    const Arguments parts = id->kind_ == Kind::Tuple ? id->elements() : Arguments();
    const auto begins = [&](std::string_view word, size_t least) {
        return parts.size() >= least && parts[0]->kind_ == Kind::Text && parts[0]->text() == word;
    };
    if (begins("module", 2) && parts[1]->kind_ == Kind::Global) return parts[1];
    if (!begins("storage", 5) || parts.size() > 6) damaged("refers to something that is no storage");
    return storage(parts);
}

// ("storage", type, key, device, count of elements). Before PyTorch 1.6 there is also None or, for a storage that is a part
// of another one, to which key and count then belong, (its own key, first element, count of elements).
PickleMachine::Value PickleMachine::storage(Arguments parts) {
    const auto key = parts[2]->text();
    const auto count = parts[4]->integer();
    if (parts[1]->kind_ != Kind::Global || !key || !count) damaged("refers to something that is no storage");
    const KnownGlobal& type = known(parts[1]);
    const bool untyped = type.role == Role::Untyped;
    if (!untyped && type.role != Role::Storage) damaged("refers to a storage without a type");
    PickleStorage storage{*key, type.type, type.name, untyped ? 1 : type.bytes, *count, untyped, 0, *count};
    if (parts.size() == 6 && parts[5]->kind_ != Kind::None) {
        const Arguments view = parts[5]->elements();
        const auto first = view.size() == 3 ? view[1]->integer() : std::nullopt;
        const auto used = view.size() == 3 ? view[2]->integer() : std::nullopt;
        if (!first || !used) damaged("refers to a part of a storage that is none");
        storage.first = *first, storage.used = *used;
    }
    PickleValue* made = make(Kind::Storage, std::make_unique<PickleStorage>(storage));
    made->holds_weights_ = true;
    pickle_.storages_.push_back(made->storage());
    return made;
}

// ---- objects that nib does not know ----

PickleValue* PickleMachine::object(Value maker) {
    if (maker->kind_ != Kind::Global && maker->kind_ != Kind::Object) damaged("calls what is not a function");
    auto parts = std::make_unique<PickleValue::Parts>();
    const bool made_itself = maker->kind_ == Kind::Object;
    parts->maker = made_itself ? std::get<std::unique_ptr<PickleValue::Parts>>(maker->content_)->maker : maker;
    PickleValue* made = make(Kind::Object, std::move(parts));
    made->holds_weights_ = maker->holds_weights_;
    return made;
}

PickleMachine::Value PickleMachine::object(Value maker, Value arguments) {
    PickleValue* made = object(maker);
    if (arguments != no_elements_) give(made, arguments);
    return made;
}

// A tensor that only the class or function behind `reason` could make.
PickleMachine::Value PickleMachine::unknown_tensor(Value reason) {
    PickleValue* made = object(reason);
    made->holds_weights_ = true;
    return made;
}

void PickleMachine::give(PickleValue* object, Value part) {
    std::get<std::unique_ptr<PickleValue::Parts>>(object->content_)->given.push_back(part);
    object->holds_weights_ |= part->holds_weights_;
}

void PickleMachine::build(PickleValue* object, Value state) {
    if (object->kind_ == Kind::Object) return give(object, state);
    // The attributes of a state dict (`_metadata`) do not matter.
    if (object->kind_ != Kind::Dict) damaged("gives a state to what has none");
}

}  // namespace nib

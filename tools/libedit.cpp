#include "libedit.h"

#include <dlfcn.h>

#include <type_traits>

namespace nib::libedit {
namespace {

constexpr const char* kNames[] = {"libedit.so.2", "libedit.so.0"};  // Debian's, and everyone else's

bool load(Functions& f) {
    void* handle = nullptr;
    for (const char* name : kNames)
        if (handle == nullptr) handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return false;
    const auto find = [&](auto& function, const char* name) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
        return function != nullptr;
    };
    return find(f.el_init, "el_init") && find(f.el_end, "el_end") && find(f.el_wgets, "el_wgets") &&
           find(f.el_wset, "el_wset") && find(f.el_wget, "el_wget") && find(f.el_cursor, "el_cursor") &&
           find(f.el_resize, "el_resize") && find(f.history_winit, "history_winit") &&
           find(f.history_wend, "history_wend") && find(f.history_w, "history_w");
}

}  // namespace

const Functions* open() {
    static Functions functions;
    static const bool loaded = load(functions);
    return loaded ? &functions : nullptr;
}

}  // namespace nib::libedit

#include "model/hf_names.h"

#include <charconv>
#include <utility>

#include "core/error.h"

namespace nib {
namespace {

constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"token_embd",    "wte"        },
    {"position_embd", "wpe"        },
    {"attn_norm",     "ln_1"       },
    {"attn_qkv",      "attn.c_attn"},
    {"attn_output",   "attn.c_proj"},
    {"ffn_norm",      "ln_2"       },
    {"ffn_up",        "mlp.c_fc"   },
    {"ffn_down",      "mlp.c_proj" },
    {"output_norm",   "ln_f"       },
    {"output",        "lm_head"    },
};
constexpr std::string_view kPrefixes[] = {"_orig_mod.", "module.", "model.", "transformer."};
constexpr std::string_view kBlock = "blk.", kHfBlock = "h.", kWeight = ".weight";

// Takes "PREFIX NUMBER ." from the front of `name`; empty, and nothing taken, if it is not there.
std::string_view take_block(std::string_view& name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return {};
    const size_t end = name.find_first_not_of("0123456789", prefix.size());
    if (end == prefix.size() || end == name.npos || name[end] != '.') return {};
    const auto number = name.substr(prefix.size(), end - prefix.size());
    name.remove_prefix(end + 1);
    return number;
}

}  // namespace

std::string hf_name(std::string_view name) {
    const std::string_view block = take_block(name, kBlock);
    const size_t dot = name.rfind('.');
    CHECK(dot != name.npos);
    for (const auto& [ours, theirs] : kNames) {
        if (name.substr(0, dot) != ours) continue;
        const std::string inside = block.empty() ? "" : std::string(kHfBlock).append(block) + ".";
        return inside + std::string(theirs).append(name.substr(dot));
    }
    fail("parameter `%s` has no name at Hugging Face", printable(name).c_str());
}

std::string_view without_prefixes(std::string_view name) {
    for (bool again = true; again;) {
        again = false;
        for (const std::string_view prefix : kPrefixes)
            if (name.starts_with(prefix)) name.remove_prefix(prefix.size()), again = true;
    }
    return name;
}

int32_t hf_block(std::string_view name) {
    const std::string_view number = take_block(name, kHfBlock);
    int32_t block = -1;
    std::from_chars(number.data(), number.data() + number.size(), block);  // stays -1 when there is none or it is absurd
    return block;
}

bool is_constant_buffer(std::string_view name) {
    return !take_block(name, kHfBlock).empty() && (name == "attn.bias" || name == "attn.masked_bias");
}

bool is_conv1d(std::string_view name) {
    return !take_block(name, kBlock).empty() && name.ends_with(kWeight) && name.find("_norm.") == name.npos;
}

}  // namespace nib

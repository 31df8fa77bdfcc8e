#include "model/layouts.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/error.h"

namespace nib {
namespace {

constexpr std::string_view kBlock = "blk.", kWeight = ".weight", kBias = ".bias";

constexpr Endings kWeightBias{}, kScaleShift{".scale", ".shift"}, kParameter{"", ""};  // the last: a bare Parameter

// Hugging Face, nanoGPT, minGPT, makemore.
constexpr StoredAs kHfOutside[] = {
    {"token_embd",    {"wte"}            },
    {"position_embd", {"wpe"}            },
    {"output_norm",   {"ln_f"}           },
    {"output",        {"lm_head"}        },
    {"output",        {"lm_head.decoder"}},
};
constexpr StoredAs kHfInside[] = {
    {"attn_norm",   {"ln_1"}       },
    {"attn_qkv",    {"attn.c_attn"}},
    {"attn_output", {"attn.c_proj"}},
    {"ffn_norm",    {"ln_2"}       },
    {"ffn_up",      {"mlp.c_fc"}   },
    {"ffn_down",    {"mlp.c_proj"} },
};
constexpr std::string_view kHfConstant[] = {"attn.bias", "attn.masked_bias"};
constexpr Layout kHuggingFace = {.name = "GPT-2",
                                 .outside = kHfOutside,
                                 .block = "h.",
                                 .inside = kHfInside,
                                 .constant = kHfConstant,
                                 .act = Act::GeluTanh,
                                 .conv1d = true,
                                 .tied = true};

constexpr StoredAs kMinGptOutside[] = {
    {"token_embd",    {"tok_emb"}, kWeightBias},
    {"position_embd", {"pos_emb"}, kParameter },
    {"output_norm",   {"ln_f"},    kWeightBias},
    {"output",        {"head"},    kWeightBias},
};
constexpr StoredAs kMinGptInside[] = {
    {"attn_norm",   {"ln1"}                                 },
    {"attn_qkv",    {"attn.query", "attn.key", "attn.value"}},
    {"attn_output", {"attn.proj"}                           },
    {"ffn_norm",    {"ln2"}                                 },
    {"ffn_up",      {"mlp.0"}                               },
    {"ffn_down",    {"mlp.2"}                               },
};
constexpr std::string_view kMinGptConstant[] = {"attn.mask"};
constexpr Layout kMinGpt = {.name = "the first minGPT (2020)",
                            .outside = kMinGptOutside,
                            .block = "blocks.",
                            .inside = kMinGptInside,
                            .constant = kMinGptConstant,
                            .act = Act::GeluErf};

constexpr StoredAs kLectureOutside[] = {
    {"token_embd",    {"token_embedding_table"}   },
    {"position_embd", {"position_embedding_table"}},
    {"output_norm",   {"ln_f"}                    },
    {"output",        {"lm_head"}                 },
};
constexpr StoredAs kLectureInside[] = {
    {"attn_norm",   {"ln1"}                                                   },
    {"attn_qkv",    {"sa.heads.*.query", "sa.heads.*.key", "sa.heads.*.value"}},
    {"attn_output", {"sa.proj"}                                               },
    {"ffn_norm",    {"ln2"}                                                   },
    {"ffn_up",      {"ffwd.net.0"}                                            },
    {"ffn_down",    {"ffwd.net.2"}                                            },
};
constexpr std::string_view kLectureConstant[] = {"sa.heads.*.tril"};
constexpr Layout kLecture = {
    .name = "the lecture gpt.py (ng-video-lecture)",
    .outside = kLectureOutside,
    .block = "blocks.",
    .inside = kLectureInside,
    .constant = kLectureConstant,
    .act = Act::Relu,
    .note = "attention scores are taken to be divided by the square root of the head size, as in the last gpt.py"};

constexpr StoredAs kBookOutside[] = {
    {"token_embd",    {"tok_emb"},    kWeightBias},
    {"position_embd", {"pos_emb"},    kWeightBias},
    {"output_norm",   {"final_norm"}, kScaleShift},
    {"output",        {"out_head"},   kWeightBias},
};
constexpr StoredAs kBookInside[] = {
    {"attn_norm",   {"norm1"},                                   kScaleShift},
    {"attn_qkv",    {"att.W_query", "att.W_key", "att.W_value"}, kWeightBias},
    {"attn_output", {"att.out_proj"},                            kWeightBias},
    {"ffn_norm",    {"norm2"},                                   kScaleShift},
    {"ffn_up",      {"ff.layers.0"},                             kWeightBias},
    {"ffn_down",    {"ff.layers.2"},                             kWeightBias},
};
constexpr std::string_view kBookConstant[] = {"att.mask"};
constexpr Layout kBook = {.name = "the book \"Build a Large Language Model (From Scratch)\"",
                          .outside = kBookOutside,
                          .block = "trf_blocks.",
                          .inside = kBookInside,
                          .constant = kBookConstant,
                          .act = Act::GeluTanh};

constexpr Layout kLayouts[] = {kHuggingFace, kMinGpt, kLecture, kBook};

// Parts of names that only these have.
constexpr std::pair<std::string_view, const char*> kForeign[] = {
    {"tokens_embed.",                   "GPT-1 (openai-gpt)"              },
    {".attn.attention.q_proj.",         "GPT-Neo"                         },
    {".attn.q_proj.",                   "GPT-J"                           },
    {".attn.qkv_proj.",                 "CodeGen"                         },
    {"gpt_neox.",                       "GPT-NeoX"                        },
    {".self_attention.query_key_value", "BLOOM, Falcon or Megatron"       },
    {".self_attn.q_proj.",              "Llama, OPT, fairseq or their kin"},
    {".self_attn.qkv_proj.",            "Phi-3 or its kin"                },
    {".self_attn.in_proj_weight",       "PyTorch's own nn.Transformer"    },
    {".SelfAttention.",                 "T5"                              },
    {"embeddings.word_embeddings.",     "BERT or its kin"                 },
    {".attn.W_Q",                       "TransformerLens"                 },
};

// Whether `name` is `pattern`, in which `*` stands for a number.
bool matches(std::string_view name, std::string_view pattern) {
    const size_t star = pattern.find('*');
    if (star == pattern.npos) return name == pattern;
    if (take_number(name, pattern.substr(0, star)) < 0) return false;
    return name == pattern.substr(star + 2);  // after "*."
}

bool names_part(const StoredAs& row, std::string_view name) {
    for (const std::string_view ending : {row.endings.weight, row.endings.bias}) {
        if (!name.ends_with(ending)) continue;
        const std::string_view stem = name.substr(0, name.size() - ending.size());
        const auto is_it = [&](std::string_view part) { return !part.empty() && matches(stem, part); };
        if (std::any_of(row.parts.begin(), row.parts.end(), is_it)) return true;
    }
    return false;
}

}  // namespace

int32_t take_number(std::string_view& name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return -1;
    int32_t number = -1;
    const char* const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + prefix.size(), end, number);
    if (error != std::errc() || number < 0 || rest == end || *rest != '.') return -1;
    name.remove_prefix(static_cast<size_t>(rest - name.data()) + 1);
    return number;
}

bool Layout::has_parameter(std::string_view parameter) const {
    const auto rows = take_number(parameter, block) >= 0 ? inside : outside;
    return std::any_of(rows.begin(), rows.end(), [&](const StoredAs& row) { return names_part(row, parameter); });
}

bool Layout::has_buffer(std::string_view buffer) const {
    return take_number(buffer, block) >= 0 && std::any_of(constant.begin(), constant.end(), [&](std::string_view pattern) {
               return matches(buffer, pattern);
           });
}

std::span<const Layout> layouts() { return kLayouts; }

const char* foreign_model(std::string_view name) {
    for (const auto& [part, model] : kForeign)
        if (name.find(part) != name.npos) return model;
    return nullptr;
}

std::span<const StoredAs> rows_of(const Layout& layout, std::string_view name) {
    const auto rows = take_number(name, kBlock) >= 0 ? layout.inside : layout.outside;
    const std::string_view parameter = name.substr(0, name.rfind('.'));
    const auto is_it = [&](const StoredAs& row) { return row.parameter == parameter; };
    const auto first = std::find_if(rows.begin(), rows.end(), is_it);
    return {first, std::find_if_not(first, rows.end(), is_it)};
}

std::string stored_name(const Layout& layout, const StoredAs& row, std::string_view name, size_t part, int64_t head) {
    std::string stored;
    if (const int32_t block = take_number(name, kBlock); block >= 0)
        stored = std::string(layout.block) + std::to_string(block) + ".";
    std::string stem(row.parts[part]);
    if (const size_t star = stem.find('*'); star != stem.npos) stem.replace(star, 1, std::to_string(head));
    return stored + stem + std::string(name.ends_with(kBias) ? row.endings.bias : row.endings.weight);
}

std::string hf_name(std::string_view name) {
    const auto rows = rows_of(kLayouts[0], name);
    CHECK(!rows.empty());
    return stored_name(kLayouts[0], rows.front(), name, 0, 0);
}

bool is_conv1d(std::string_view name) {
    return take_number(name, kBlock) >= 0 && name.ends_with(kWeight) && name.find("_norm.") == name.npos;
}

}  // namespace nib

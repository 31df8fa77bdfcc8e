#include "io/llama2c.h"

#include <cinttypes>
#include <cstring>
#include <optional>

#include "core/error.h"

namespace nib {
namespace {

constexpr uint32_t kMagic = 0x616b3432;  // "ak42"
constexpr size_t kLegacyHeader = 7 * sizeof(int32_t), kHeader = 256;
constexpr int64_t kMaxSize = int64_t{1} << 20, kMaxLayers = int64_t{1} << 12;  // products of three do not overflow

struct Sizes {
    int64_t dim, hidden, layers, heads, kv_heads, vocab, context;
    bool shared;  // the output head is the embedding

    int64_t head_size() const { return dim / heads; }
};

int32_t int_at(std::span<const std::byte> bytes, size_t at) {
    int32_t value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

// The seven numbers at `at`; nothing if they make no sense.
std::optional<Sizes> sizes_at(std::span<const std::byte> bytes, size_t at) {
    int64_t n[7];
    for (size_t i = 0; i < 7; ++i) n[i] = int_at(bytes, at + i * sizeof(int32_t));
    const bool shared = n[5] > 0;  // a negative vocabulary means that it is not
    if (!shared) n[5] = -n[5];
    for (const int64_t size : n)
        if (size < 1 || size > kMaxSize) return std::nullopt;
    const Sizes s{n[0], n[1], n[2], n[3], n[4], n[5], n[6], shared};
    if (s.layers > kMaxLayers || s.dim % s.heads != 0 || s.head_size() % 2 != 0 || s.heads % s.kv_heads != 0)
        return std::nullopt;
    return s;
}

// The same as they stand, with llama2.c's names.
std::string numbers_at(std::span<const std::byte> bytes, size_t at) {
    std::string text;
    for (const char* const name : {"dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len"}) {
        text += strprintf("%s%s %" PRId32, text.empty() ? "" : ", ", name, int_at(bytes, at));
        at += sizeof(int32_t);
    }
    return text;
}

bool has_magic(std::span<const std::byte> bytes) {
    return bytes.size() >= sizeof(int32_t) && static_cast<uint32_t>(int_at(bytes, 0)) == kMagic;
}

// Assigns the bytes of the file to tensors, in order.
class Layout {
public:
    Layout(const Sizes& sizes, std::span<const std::byte> bytes, size_t at, const std::string& file)
        : sizes_(sizes), bytes_(bytes), at_(at), file_(file) {}

    void add(const std::string& name, std::vector<int64_t> shape) {
        SourceTensor t;
        t.name = name + ".weight";
        t.file = file_;
        t.type = SourceType::F32;
        t.type_name = source_type_name(t.type);
        t.strides = contiguous_strides(shape);
        t.shape = std::move(shape);
        skip(t.elements());
        if (at_ <= bytes_.size()) {
            const size_t size = static_cast<size_t>(t.elements()) * sizeof(float);
            t.data = bytes_.subspan(at_ - size, size);
        }
        tensors_.push_back(std::move(t));
    }
    void add_layers(const std::string& name, const std::vector<int64_t>& shape) {
        for (int64_t l = 0; l < sizes_.layers; ++l) add("layers." + std::to_string(l) + "." + name, shape);
    }
    void skip(int64_t floats) { at_ += static_cast<size_t>(floats) * sizeof(float); }

    size_t end() const { return at_; }
    std::vector<SourceTensor> take() { return std::move(tensors_); }

private:
    const Sizes& sizes_;
    const std::span<const std::byte> bytes_;
    size_t at_;
    const std::string& file_;
    std::vector<SourceTensor> tensors_;
};

void add_attention(Layout& to, const Sizes& s) {
    const int64_t kv = s.kv_heads * s.head_size();
    to.add_layers("attention.wq", {s.dim, s.dim});
    to.add_layers("attention.wk", {kv, s.dim});
    to.add_layers("attention.wv", {kv, s.dim});
    to.add_layers("attention.wo", {s.dim, s.dim});
}

void add_feed_forward(Layout& to, const Sizes& s) {
    to.add_layers("feed_forward.w1", {s.hidden, s.dim});
    to.add_layers("feed_forward.w2", {s.dim, s.hidden});
    to.add_layers("feed_forward.w3", {s.hidden, s.dim});
}

// Version 0 also has the tables of cosines and sines of all positions, which follow from the sizes.
void add_legacy(Layout& to, const Sizes& s) {
    to.add("tok_embeddings", {s.vocab, s.dim});
    to.add_layers("attention_norm", {s.dim});
    add_attention(to, s);
    to.add_layers("ffn_norm", {s.dim});
    add_feed_forward(to, s);
    to.add("norm", {s.dim});
    to.skip(s.context * s.head_size());
    if (!s.shared) to.add("output", {s.vocab, s.dim});
}

void add_version1(Layout& to, const Sizes& s) {
    to.add_layers("attention_norm", {s.dim});
    to.add_layers("ffn_norm", {s.dim});
    to.add("norm", {s.dim});
    to.add("tok_embeddings", {s.vocab, s.dim});
    add_attention(to, s);
    add_feed_forward(to, s);
    if (!s.shared) to.add("output", {s.vocab, s.dim});
}

Sizes read_sizes(std::span<const std::byte> bytes, const std::string& file) {
    if (!has_magic(bytes)) {
        const auto sizes = bytes.size() >= kLegacyHeader ? sizes_at(bytes, 0) : std::nullopt;
        if (!sizes) fail("%s: is no file of llama2.c", file.c_str());
        return *sizes;
    }
    if (bytes.size() < kHeader)
        fail("%s: is llama2.c's by its first bytes, but is cut short: of the header's %zu bytes it has %zu", file.c_str(),
             kHeader, bytes.size());
    const int32_t version = int_at(bytes, sizeof(int32_t));
    if (version == 2)
        fail("%s: is llama2.c's version 2, in int8, which nib does not read: export the model as version 1", file.c_str());
    if (version != 1) fail("%s: is version %" PRId32 " of llama2.c's files; nib reads 0 and 1", file.c_str(), version);
    auto sizes = sizes_at(bytes, 2 * sizeof(int32_t));
    if (!sizes)
        fail("%s: is llama2.c's by its first bytes, but its header makes no sense (%s); the file is damaged", file.c_str(),
             numbers_at(bytes, 2 * sizeof(int32_t)).c_str());
    sizes->shared = bytes[9 * sizeof(int32_t)] != std::byte{0};
    return *sizes;
}

}  // namespace

bool is_llama2c_file(std::span<const std::byte> bytes) {
    return has_magic(bytes) || (bytes.size() >= kLegacyHeader && sizes_at(bytes, 0));
}

Llama2cFile Llama2cFile::parse(std::span<const std::byte> bytes, const std::string& name) {
    const std::string file = printable(name, 400);
    const Sizes s = read_sizes(bytes, file);
    const bool legacy = !has_magic(bytes);
    Layout layout(s, bytes, legacy ? kLegacyHeader : kHeader, file);
    (legacy ? add_legacy : add_version1)(layout, s);
    if (layout.end() != bytes.size())
        fail(
            "%s: has %zu bytes, but its header, which is llama2.c's for %s of %s, asks for %zu; the "
            "file is damaged",
            file.c_str(), bytes.size(), counted(s.layers, "layer").c_str(), counted(s.dim, "channel").c_str(),
            layout.end());
    return {
        {{"dim", s.dim},
         {"hidden_dim", s.hidden},
         {"n_layers", s.layers},
         {"n_heads", s.heads},
         {"n_kv_heads", s.kv_heads},
         {"vocab_size", s.vocab},
         {"max_seq_len", s.context}},
        layout.take()
    };
}

}  // namespace nib

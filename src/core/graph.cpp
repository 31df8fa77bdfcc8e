#include "core/graph.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace nib {
namespace {

int64_t* dimension_of(Params& p, char letter) {
    switch (letter) {
        case 'B': return &p.B;
        case 'T': return &p.T;
        case 'C': return &p.C;
        case 'N': return &p.N;
        case 'H': return &p.H;
        case 'G': return &p.G;
        case 'S': return &p.S;
        case 'L': return &p.L;
        case 'K': return &p.K;
        case 'D': return &p.D;
        default: return nullptr;
    }
}

bool allows(Types types, DType type) {
    switch (types) {
        case Types::F32: return type == DType::F32;
        case Types::F64: return type == DType::F64;
        case Types::Index:
        case Types::Target:
        case Types::Spans:
        case Types::AnySpans:
        case Types::Texts: return type == DType::I32;
        case Types::Activation:
        case Types::Cache: return type == DType::F32 || type == DType::F16;
        case Types::Weight: return type != DType::I32 && type != DType::F64;
    }
    return false;
}

// Fills in dimensions that are not known yet from the shape of an operand. Returns whether it agrees with the others.
bool agree(Params& p, const Operand& operand, const Shape& shape) {
    int i = 0;
    for (const char letter : operand.shape()) {
        if (letter == ',') continue;
        if (i == shape.rank) return false;
        const int64_t size = shape[i++];
        int64_t* const known = dimension_of(p, letter);
        if (known != nullptr && *known == 0) *known = size;
        if (size != dimension(p, letter)) return false;
    }
    return i == shape.rank;
}

// Error unless the operand fits the op's row.
void check_operand(Params& p, const OpInfo& op, int i, const TensorInfo* info) {
    const Operand& operand = op.operands[i];
    const auto wrong = [&](const std::string& how) {
        fail("op `%s`: operand `%s` %s", op.name, operand ? operand.name : "(none)", how.c_str());
    };
    if (!operand && info != nullptr) wrong("is one too many");
    if (info == nullptr) {
        if (operand && !operand.optional) wrong("is missing");
        return;
    }
    if (!allows(operand.types, info->type)) wrong(std::string("has type ") + dtype_info(info->type)->name);
    if (info->stride != 0 && !operand.slice) wrong("is a slice of columns");
    if (!agree(p, operand, info->shape))
        wrong("has shape " + info->shape.text() + ", which does not fit (" + std::string(operand.dims) + ")");
}

}  // namespace

size_t TensorInfo::bytes() const {
    const int64_t width = shape.rank > 0 ? shape[-1] : 0;
    if (stride == 0 || shape.elements() == 0) return dtype_bytes(type, shape.elements());
    return dtype_bytes(type, (shape.elements() / width - 1) * stride + width);
}

bool Node::has_f16_activation() const {
    for (int i = 0; i < kMaxOperands; ++i)
        if (operands[static_cast<size_t>(i)] && op_info(op).operands[i].types == Types::Activation &&
            types[static_cast<size_t>(i)] == DType::F16)
            return true;
    return false;
}

Graph::Graph(Mode mode, DType activations) : mode_(mode), activations_(activations) {
    if (activations != DType::F32 && activations != DType::F16) fail("activations are f32 or f16");
}

namespace {

// Elements of a tensor's dimensions [first, end).
int64_t elements_of(const Shape& shape, int first, int end) {
    int64_t elements = 1;
    for (int i = first; i < std::min(end, shape.rank); ++i) elements *= shape[i];
    return elements;
}

// Whether the rows (B,T) of one tensor (B,T,...) are some of those of the other, or parts of them all.
bool have_same_rows(const Shape& a, const Shape& b) {
    return elements_of(a, 0, 2) == elements_of(b, 0, 2) || elements_of(a, 2, a.rank) == elements_of(b, 2, b.rank);
}

}  // namespace

// ---- tensors ---------------------------------------------------------------------------------------------------------

size_t Graph::number(Tensor t) const {
    if (!t || t.id >= static_cast<int>(tensors_.size())) fail("a tensor is missing, or of another graph");
    return static_cast<size_t>(t.id);
}

Tensor Graph::make(Shape shape, DType type, RowCount row_count) {
    for (int i = 0; i < shape.rank; ++i)
        if (shape[i] < 0) fail("a tensor cannot have shape %s", shape.text().c_str());
    dtype_bytes(type, shape.elements());  // or Error
    if (row_count < -1 || row_count >= row_counts_) fail("there is no row count %d in this graph", row_count);
    TensorInfo info;
    info.shape = shape;
    info.type = type;
    info.row_count = row_count;
    tensors_.push_back(std::move(info));
    wants_gradient_.push_back(false);
    gradients_.push_back({});
    weight_gradients_.push_back({});
    gradient_is_whole_.push_back(false);
    return {static_cast<int>(tensors_.size()) - 1};
}

Tensor Graph::view(Tensor t, Shape shape, size_t offset) {
    const int base = info(t).base >= 0 ? info(t).base : t.id;
    offset += info(t).view_offset;
    const RowCount row_count = have_same_rows(shape, info(t).shape) ? info(t).row_count : RowCount{-1};
    const Tensor result = make(shape, info(t).type, row_count);
    TensorInfo& made = tensors_.back();
    made.base = base;
    made.view_offset = offset;
    wants_gradient_.back() = wants_gradient(t);
    const TensorInfo& whole = tensors_[static_cast<size_t>(base)];
    if (offset > whole.bytes() || made.bytes() > whole.bytes() - offset)
        fail("a view %s from byte %zu on does not fit into a tensor %s", shape.text().c_str(), offset,
             whole.shape.text().c_str());
    return result;
}

Tensor Graph::columns(Tensor t, int64_t first, int64_t count) {
    const TensorInfo whole = info(t);
    if (whole.shape.rank != 3 || first < 0 || count <= 0 || first > whole.shape[2] || count > whole.shape[2] - first)
        fail("a tensor %s has no columns %lld to %lld", whole.shape.text().c_str(), static_cast<long long>(first),
             static_cast<long long>(first + count - 1));
    const Tensor result = view(t, {whole.shape[0], whole.shape[1], count}, dtype_bytes(whole.type, first));
    tensors_.back().stride = whole.stride > 0 ? whole.stride : whole.shape[2];
    return result;
}

Qkv Graph::split_qkv(Tensor qkv, int64_t heads, int64_t kv_heads) {
    const Shape& shape = info(qkv).shape;
    const int64_t all = heads + 2 * kv_heads;
    if (heads < 1 || kv_heads < 1 || shape.rank != 3 || shape[2] % all != 0)
        fail("a tensor %s does not divide into %lld heads of queries and %lld of keys and of values", shape.text().c_str(),
             static_cast<long long>(heads), static_cast<long long>(kv_heads));
    const int64_t D = shape[2] / all;
    return {columns(qkv, 0, heads * D), columns(qkv, heads * D, kv_heads * D),
            columns(qkv, (heads + kv_heads) * D, kv_heads * D)};
}

Tensor Graph::fixed(std::string name, Shape shape, DType type, Location where, RowCount row_count) {
    if (where.buffer < 0) fail("tensor `%s` has no place", name.c_str());
    if (const auto known = fixed_.find(where); known != fixed_.end()) {
        const TensorInfo& other = info(known->second);
        if (other.shape != shape || other.type != type)
            fail("tensor `%s` %s has the place of `%s` %s", name.c_str(), shape.text().c_str(), other.name.c_str(),
                 other.shape.text().c_str());
        return known->second;
    }
    const Tensor t = make(shape, type, row_count);
    fixed_[where] = t;
    tensors_.back().where = where;
    tensors_.back().name = std::move(name);
    return t;
}

Tensor Graph::weight(const Weight& w) {
    if (!w) return {};
    const bool trained = mode_ == Mode::Train && w.trained;
    if (trained && w.type != DType::F32)
        fail("weight `%s` is %s; only f32 is trained", w.name.c_str(), dtype_info(w.type)->name);
    const Tensor t = fixed(w.name, w.shape, w.type, w.value);
    weight_gradients_[static_cast<size_t>(t.id)] = trained ? w.gradient : Location{};
    wants_gradient_[static_cast<size_t>(t.id)] = trained;
    return t;
}

RowCount Graph::add_row_count() {
    if (row_counts_ == kRowCounts) fail("a graph has at most %d numbers of live rows", kRowCounts);
    return static_cast<RowCount>(row_counts_++);
}

Tensor Graph::input(const char* name, Shape shape, DType type, RowCount row_count) {
    const Tensor t = make(shape, type, row_count);
    tensors_.back().persistent = true;
    tensors_.back().name = name;
    return t;
}

Tensor Graph::output(Tensor t) {
    tensors_[info(t).base >= 0 ? static_cast<size_t>(info(t).base) : number(t)].persistent = true;
    return t;
}

// ---- nodes -----------------------------------------------------------------------------------------------------------

Node& Graph::add(Op op, const Params& p, std::initializer_list<Tensor> in, std::initializer_list<Tensor> out) {
    const OpInfo& about = op_info(op);
    if (in.size() > kMaxIn || out.size() > kMaxOut) fail("op `%s`: too many operands", about.name);
    Node node;
    node.op = op;
    node.p = p;
    std::copy(in.begin(), in.end(), node.operands.begin());
    std::copy(out.begin(), out.end(), node.operands.begin() + kMaxIn);
    bool wanted = false;
    for (int i = 0; i < kMaxOperands; ++i) {
        const auto at = static_cast<size_t>(i);
        const Tensor t = node.operands[at];
        const TensorInfo* const of = t ? &info(t) : nullptr;
        check_operand(node.p, about, i, of);
        if (!t) continue;
        node.types[at] = of->type;
        node.strides[at] = of->stride;
        const std::string_view dims = about.operands[i].dims;
        if (of->row_count >= 0 && dims.starts_with("B,T")) node.row_count = of->row_count;
        if (of->row_count >= 0 && (dims.starts_with("B,S") || dims.starts_with("1,N"))) node.key_row_count = of->row_count;
        wanted = wanted || (i < kMaxIn && wants_gradient(t));
    }
    if (about.gradient != nullptr)
        for (const Tensor t : node.outputs())
            if (t) wants_gradient_[static_cast<size_t>(t.id)] = wanted;
    nodes_.push_back(node);
    return nodes_.back();
}

uint32_t Graph::dropout_threshold(float probability) const {
    if (!(probability >= 0 && probability < 1))
        fail("a dropout of %g is not from 0 to below 1", static_cast<double>(probability));
    return mode_ == Mode::Train ? static_cast<uint32_t>(std::lround(probability * 65536)) : 0;
}

Tensor Graph::embed(const EmbedInputs& in, const EmbedWeights& w, float dropout, float scale) {
    Params p;
    p.scale = scale;
    p.dropout = dropout_threshold(dropout);
    p.stream = streams_++;
    const Shape& ids = info(in.ids).shape;
    const Tensor y = make({ids[0], ids[1], w.tokens.shape[1]}, DType::F32, info(in.ids).row_count);
    const Tensor table = in.position_table ? in.position_table : weight(w.positions);
    add(Op::Embed, p,
        {in.ids, table ? in.positions : Tensor{}, w.segments ? in.segments : Tensor{}, weight(w.tokens), table,
         weight(w.segments)},
        {y});
    return y;
}

Tensor Graph::norm(Tensor x, const NormWeights& w, bool floats) {
    Params p;
    p.eps = w.eps;
    p.rms = w.rms;
    const TensorInfo about = info(x);
    const Tensor gain = weight(w.gain), bias = weight(w.bias);
    const Tensor y = make(about.shape, floats ? DType::F32 : activations_, about.row_count);
    const bool statistics = wants_gradient(x) || wants_gradient(gain) || wants_gradient(bias);
    const auto rows = [&](bool there) {
        return there ? make({about.shape[0], about.shape[1]}, DType::F32, about.row_count) : Tensor{};
    };
    const Tensor mean = rows(statistics && !w.rms), rstd = rows(statistics);
    add(Op::Norm, p, {x, gain, bias}, {y, mean, rstd});
    return y;
}

Tensor Graph::linear(Tensor x, const LinearWeights& w, const Epilogue& epilogue) {
    if (!w.adapters.empty()) return linear_with_adapters(x, w, epilogue);
    Params p;
    p.act = epilogue.act;
    p.dropout = dropout_threshold(epilogue.dropout);
    p.stream = streams_++;
    const TensorInfo about = info(x);
    const Tensor weights = weight(w.w), bias = weight(w.b);
    const bool wanted = wants_gradient(x) || wants_gradient(weights) || wants_gradient(bias);
    const Shape shape{about.shape[0], about.shape[1], w.w.shape[0]};
    const Tensor y = make(shape, epilogue.residual || epilogue.floats ? DType::F32 : activations_, about.row_count);
    const Tensor pre = wanted && p.act != Act::None ? make(shape, activations_, about.row_count) : Tensor{};
    add(Op::Linear, p, {x, weights, bias, epilogue.residual}, {y, pre});
    return y;
}

// residual + x w^T + b.
Tensor Graph::product(Tensor x, const Weight& w, const Weight& b, Tensor residual, DType type) {
    const TensorInfo about = info(x);
    const Tensor y = make({about.shape[0], about.shape[1], w.shape[0]}, type, about.row_count);
    add(Op::Linear, {}, {x, weight(w), weight(b), residual}, {y});
    return y;
}

// residual + dropout(act(scale pre)).
Tensor Graph::shape_product(Tensor pre, const Params& p, Tensor residual, DType type) {
    const TensorInfo about = info(pre);
    const Tensor y = make(about.shape, type, about.row_count);
    add(Op::LinearEpilogue, p, {pre, residual}, {y});
    return y;
}

// sum + scale (dropout(x) a^T) b^T; no sum: 0.
Tensor Graph::adapt(Tensor x, const Adapter& adapter, Tensor sum) {
    Params p;
    p.dropout = dropout_threshold(adapter.dropout);
    if (p.dropout != 0) {
        p.stream = streams_++;
        x = shape_product(x, p, {}, info(x).type);
    }
    Tensor low = product(x, adapter.a, {}, {}, DType::F32);  // (B,T,r)
    nodes_.back().computes_again = true;
    if (adapter.scale != 1) {
        Params scaled;
        scaled.scale = adapter.scale;
        low = shape_product(low, scaled, {}, DType::F32);
    }
    return product(low, adapter.b, {}, sum, DType::F32);
}

// What the adapters add comes first and rides along as a residual of the product, whose weights are frozen, as a rule: then
// its gradient needs no copy. Without activation and dropout the layer's own residual begins that sum.
Tensor Graph::linear_with_adapters(Tensor x, const LinearWeights& w, const Epilogue& epilogue) {
    Params p;
    p.act = epilogue.act;
    p.dropout = dropout_threshold(epilogue.dropout);
    p.stream = streams_++;
    const bool shaped = p.act != Act::None || p.dropout != 0;
    const DType type = epilogue.residual || epilogue.floats ? DType::F32 : activations_;
    Tensor sum = shaped ? Tensor{} : epilogue.residual;
    for (const Adapter& adapter : w.adapters) sum = adapt(x, adapter, sum);
    if (!shaped) return product(x, w.w, w.b, sum, type);
    // With an activation the product is kept for the backward pass.
    const Tensor pre = product(x, w.w, w.b, sum, p.act != Act::None ? activations_ : DType::F32);
    return shape_product(pre, p, epilogue.residual, type);
}

Tensor Graph::glu(Tensor gate, Tensor up, Act act) {
    Params p;
    p.act = act;
    const Tensor y = make_like(gate);
    add(Op::Glu, p, {gate, up}, {y});
    return y;
}

Tensor Graph::rope(Tensor x, Tensor rotation, const RopeOptions& options) {
    Params p;
    p.H = options.heads;
    p.D = options.head_size;
    p.interleaved = options.interleaved;
    const Shape &rows = info(x).shape, &angles = info(rotation).shape;
    if (p.H < 1 || p.D < 1 || rows.rank != 3 || p.H > rows[2] / p.D || angles.rank != 3 || angles[2] > p.D)
        fail("%lld heads of %lld numbers, turned by %s, are not in a tensor %s", static_cast<long long>(p.H),
             static_cast<long long>(p.D), angles.text().c_str(), rows.text().c_str());
    const bool wanted = wants_gradient(x);
    add(Op::Rope, p, {x, rotation}, {x});
    wants_gradient_[static_cast<size_t>(x.id)] = wanted;
    return x;
}

Params Graph::attention_params(const Qkv& qkv, const AttentionOptions& options) {
    Params p;
    p.H = options.heads;
    p.G = options.kv_heads > 0 ? options.kv_heads : options.heads;
    const Shape& q = info(qkv.q).shape;
    if (p.H < 1 || p.H % p.G != 0 || q.rank != 3 || q[2] % p.H != 0)
        fail("attention of %lld heads and %lld key/value heads does not fit queries %s", static_cast<long long>(p.H),
             static_cast<long long>(p.G), q.text().c_str());
    if (options.window < 0) fail("a window of %lld keys is negative", static_cast<long long>(options.window));
    p.D = q[2] / p.H;
    p.causal = options.causal;
    p.window = options.window;
    p.scale = options.scale > 0 ? options.scale : 1 / std::sqrt(static_cast<float>(p.D));
    if (qkv.k && (info(qkv.k).shape.rank != 3 || info(qkv.k).shape[2] != p.G * p.D))
        fail("keys %s are not %lld heads of %lld numbers", info(qkv.k).shape.text().c_str(), static_cast<long long>(p.G),
             static_cast<long long>(p.D));
    return p;
}

Tensor Graph::attention(const Qkv& qkv, const AttentionOptions& options) {
    Params p = attention_params(qkv, options);
    p.dropout = dropout_threshold(options.dropout);
    p.stream = streams_++;
    const TensorInfo q = info(qkv.q);
    const Tensor y = make(q.shape, activations_, q.row_count);
    const bool wanted = wants_gradient(qkv.q) || wants_gradient(qkv.k) || wants_gradient(qkv.v);
    const Tensor lse = wanted ? make({q.shape[0], p.H, q.shape[1]}) : Tensor{};
    add(Op::Attention, p, {qkv.q, qkv.k, qkv.v, options.spans}, {y, lse});
    return y;
}

double Graph::flops() const {
    double sum = 0;
    for (const Node& node : nodes_) sum += op_flops(node.op, node.p);
    return sum;
}

Graph::Attended Graph::attention_with_weights(const Qkv& qkv, const AttentionOptions& options) {
    const Params p = attention_params(qkv, options);
    const TensorInfo q = info(qkv.q);
    const Tensor y = make(q.shape, activations_, q.row_count);
    const Tensor weights = make({q.shape[0], p.H, q.shape[1], info(qkv.k).shape[1]});
    add(Op::Attention, p, {qkv.q, qkv.k, qkv.v, options.spans}, {y, {}, weights});
    return {y, weights};
}

void Graph::require_inference(const char* what) const {
    if (mode_ != Mode::Infer) fail("%s has no gradient: it is for inference only", what);
}

void Graph::store(const KvCache& cache, Tensor k, Tensor v, Tensor slots, Tensor positions) {
    require_inference("a cache");
    const Shape& rows = info(k).shape;
    if (rows.rank != 3 || rows[2] != cache.kv_heads * cache.head_size)
        fail("keys %s do not fit a cache %s", rows.text().c_str(), cache.shape().text().c_str());
    add(Op::CacheStore, {}, {k, v, slots, positions},
        {fixed("keys", cache.shape(), cache.type, cache.keys), fixed("values", cache.shape(), cache.type, cache.values)});
}

Tensor Graph::attention_cached(Tensor q, const KvCache& cache, Tensor slots, const AttentionOptions& options) {
    require_inference("a cache");
    const Params p = attention_params({q, {}, {}}, options);
    if (p.G != cache.kv_heads || p.D != cache.head_size)
        fail("%lld key/value heads of %lld numbers do not fit a cache %s", static_cast<long long>(p.G),
             static_cast<long long>(p.D), cache.shape().text().c_str());
    const TensorInfo about = info(q);
    const Tensor y = make(about.shape, DType::F32, about.row_count);
    add(Op::AttentionCached, p,
        {q, slots, options.spans, fixed("keys", cache.shape(), cache.type, cache.keys),
         fixed("values", cache.shape(), cache.type, cache.values)},
        {y});
    return y;
}

Tensor Graph::gather(Tensor x, Tensor rows, RowCount row_count) {
    const Tensor y = make({1, info(rows).shape[0], info(x).shape[2]}, DType::F32, row_count);
    add(Op::Gather, {}, {x, rows}, {y});
    return y;
}

Tensor Graph::mean_rows(Tensor x, Tensor texts, RowCount row_count) {
    const Tensor y = make({1, info(texts).shape[0], info(x).shape[2]}, DType::F32, row_count);
    add(Op::MeanRows, {}, {x, texts}, {y});
    return y;
}

Tensor Graph::normalize(Tensor x) {
    Params p;
    p.eps = 1e-12f;
    const Tensor y = make_like(x);
    add(Op::Normalize, p, {x}, {y});
    return y;
}

Tensor Graph::similarity(Tensor a, Tensor b, float scale) {
    Params p;
    p.scale = scale;
    const TensorInfo about = info(a);
    const Tensor s = make({about.shape[0], about.shape[1], info(b).shape[1]}, DType::F32, about.row_count);
    add(Op::Similarity, p, {a, b}, {s});
    return s;
}

}  // namespace nib

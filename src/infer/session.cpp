#include "infer/session.h"

#include <algorithm>

#include "core/error.h"

namespace nib {
namespace {

// Tokens of a prefill plan: a short prompt, the steps of a long one, and those where the logits of every token are asked
// for, which take much memory.
constexpr int64_t kSmallChunk = 16, kLargeChunk = 512, kLogitsChunk = 128;
constexpr size_t kAlign = 64;

size_t align_up(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

Session::Rows::Rows(Graph& g, const ModelConfig& config, int64_t count) {
    const RowCount live = g.add_row_count();
    tokens = TokenInputs(g, config, 1, count, live);
    slots = g.input("slots", {1, count}, DType::I32, live);
    spans = g.input("spans", {1, count, 2}, DType::I32, live);
    for (auto* values : {&ids_, &slots_, &positions_}) values->resize(static_cast<size_t>(count));
    spans_.resize(static_cast<size_t>(2 * count));
}

void Session::Rows::put(int64_t row, int32_t id, int64_t slot, int64_t position) {
    const auto r = static_cast<size_t>(row);
    ids_[r] = id, slots_[r] = static_cast<int32_t>(slot), positions_[r] = static_cast<int32_t>(position);
    spans_[2 * r] = 0, spans_[2 * r + 1] = static_cast<int32_t>(position + 1);
}

void Session::Rows::upload(const Plan& plan) {
    tokens.set(plan, ids_, positions_);
    plan.set<int32_t>(slots, slots_);
    plan.set<int32_t>(spans, spans_);
}

Session::Session(Backend& backend, const ModelConfig& config, const Weights& weights, int64_t sequences, DType cache_type)
    : backend_(backend),
      config_(config),
      model_(make_model(config)),
      weights_(weights),
      sequences_(sequences),
      cache_type_(cache_type) {
    CHECK(sequences > 0 && config.context > 0 && (cache_type == DType::F32 || cache_type == DType::F16));
    if (const double bytes = cache_bytes(config, sequences, cache_type); bytes > 0x1p62)
        fail("the keys and values of %lld sequences need %s of memory; use fewer", static_cast<long long>(sequences),
             human_bytes(bytes).c_str());
    const size_t bytes = align_up(dtype_bytes(cache_type, sequences * config.context * config.kv() * config.head_dim()));
    size_t end = 0;
    for (int64_t part = 0; part < 2 * config.layers; ++part) {
        cache_offsets_.push_back(fit_segment(end, bytes, backend.segment(), "keys and values of a layer"));
        end = cache_offsets_.back() + bytes;
    }
    cache_buffer_ = backend.allocate(end);
    logits_.resize(static_cast<size_t>(sequences * config.vocab));
    small_.size = std::min(kSmallChunk, config.context);
    medium_.size = std::min(kLogitsChunk, config.context);
    large_.size = std::min(kLargeChunk, config.context);
}

Session::~Session() {
    if (cache_buffer_ >= 0) backend_.release(cache_buffer_);
}

double Session::cache_bytes(const ModelConfig& c, int64_t sequences, DType cache_type) {
    return 2.0 * static_cast<double>(dtype_bytes(cache_type, 1)) * static_cast<double>(c.layers) *
           static_cast<double>(c.context) * static_cast<double>(c.kv() * c.head_dim()) * static_cast<double>(sequences);
}

Location Session::cache(int64_t layer, bool values) const {
    return {cache_buffer_, cache_offsets_[static_cast<size_t>(2 * layer + values)]};
}

std::vector<KvCache> Session::caches() const {
    std::vector<KvCache> layers;
    for (int64_t l = 0; l < config_.layers; ++l)
        layers.push_back(
            {cache(l, false), cache(l, true), cache_type_, sequences_, config_.kv(), config_.context, config_.head_dim()});
    return layers;
}

void Session::check_room(std::span<const int32_t> ids, int64_t tokens) const {
    CHECK(tokens > 0 && position_ + tokens <= config_.context);
    for (const int32_t id : ids) CHECK(id >= 0 && id < config_.vocab);
}

Plan Session::compile_head(Location hidden, int64_t rows, Tensor& logits) {
    Graph g(Mode::Infer);
    const RowCount live = g.add_row_count();
    const Tensor x = g.fixed("hidden", {1, rows, config_.embd}, DType::F32, hidden, live);
    logits = g.output(g.linear(x, weights_[model_->head()]));
    return compile(std::move(g), backend_);
}

void Session::compile_body(Chunk& c) {
    const std::vector<KvCache> layers = caches();
    Graph g(Mode::Infer);
    c.rows = Rows(g, config_, c.size);
    c.last = g.input("last", {1}, DType::I32);
    const CacheInputs cache = c.rows.cache(layers);
    c.hidden = g.output(model_->hidden(g, c.rows.tokens.inputs(weights_, 0, &cache)));
    c.last_hidden = g.output(g.gather(c.hidden, c.last));
    c.body = compile(std::move(g), backend_);
}

void Session::prepare_decode() {
    if (decode_.plan.backend) return;
    const std::vector<KvCache> layers = caches();
    Graph g(Mode::Infer);
    decode_.rows = Rows(g, config_, sequences_);
    const CacheInputs cache = decode_.rows.cache(layers);
    const Tensor hidden = model_->hidden(g, decode_.rows.tokens.inputs(weights_, 0, &cache));
    decode_.logits = g.output(g.linear(hidden, weights_[model_->head()]));
    decode_.plan = compile(std::move(g), backend_);
}

Session::Chunk& Session::compiled(Chunk& c) {
    if (!c.body.backend) compile_body(c);
    return c;
}

// Evaluates up to c.size tokens of sequence 0.
void Session::run_body(Chunk& c, std::span<const int32_t> ids) {
    const auto rows = static_cast<int64_t>(ids.size());
    for (int64_t i = 0; i < c.size; ++i)
        c.rows.put(i, i < rows ? ids[static_cast<size_t>(i)] : 0, 0, std::min(position_ + i, config_.context - 1));
    const auto last = static_cast<int32_t>(rows - 1);
    c.rows.upload(c.body);
    c.body.set<int32_t>(c.last, {&last, 1});
    c.body.run({.rows = {rows}});
    position_ += rows;
}

void Session::prepare_prefill(int64_t tokens) {
    if (is_decode(tokens)) return prepare_decode();
    Chunk* c = nullptr;
    for (; tokens > 0; tokens -= c->size) c = &prefill_chunk(tokens);
    if (!c->last_head.backend) c->last_head = compile_head(c->body.locate(c->last_hidden), 1, c->last_logits);
}

std::span<const float> Session::prefill(std::span<const int32_t> ids) {
    check_room(ids, static_cast<int64_t>(ids.size()));
    if (is_decode(static_cast<int64_t>(ids.size()))) return decode(ids);
    prepare_prefill(static_cast<int64_t>(ids.size()));
    Chunk* c = nullptr;
    while (!ids.empty()) {
        c = &prefill_chunk(static_cast<int64_t>(ids.size()));
        const size_t rows = std::min(ids.size(), static_cast<size_t>(c->size));
        run_body(*c, ids.first(rows));
        ids = ids.subspan(rows);
    }
    c->last_head.run({});
    const std::span<float> logits = std::span(logits_).first(static_cast<size_t>(config_.vocab));
    c->last_head.get(c->last_logits, logits);
    return logits;
}

void Session::all_logits(std::span<const int32_t> ids, const std::function<void(std::span<const float>)>& rows) {
    check_room(ids, static_cast<int64_t>(ids.size()));
    std::vector<float> logits;
    while (!ids.empty()) {
        Chunk& c = compiled(static_cast<int64_t>(ids.size()) > small_.size ? medium_ : small_);
        const size_t count = std::min(ids.size(), static_cast<size_t>(c.size));
        run_body(c, ids.first(count));
        if (!c.all_heads.backend) c.all_heads = compile_head(c.body.locate(c.hidden), c.size, c.all_logits);
        c.all_heads.run({.rows = {static_cast<int64_t>(count)}});
        logits.resize(count * static_cast<size_t>(config_.vocab));
        c.all_heads.get(c.all_logits, std::span(logits));
        rows(logits);
        ids = ids.subspan(count);
    }
}

void Session::copy_to(int64_t sequence) {
    CHECK(sequence >= 0 && sequence < sequences_);
    if (sequence == 0 || position_ == 0) return;
    const size_t head_bytes = dtype_bytes(cache_type_, config_.context * config_.head_dim());  // (S,D)
    staging_.resize(head_bytes);
    const std::span<std::byte> used = std::span(staging_).first(  // (position,D)
        head_bytes / static_cast<size_t>(config_.context) * static_cast<size_t>(position_));
    for (int64_t part = 0; part < 2 * config_.layers; ++part)
        for (int64_t h = 0; h < config_.kv(); ++h) {
            Location place = cache(part / 2, part % 2 != 0);
            place.offset += static_cast<size_t>(h) * head_bytes;
            backend_.download(place, used);
            place.offset += static_cast<size_t>(sequence * config_.kv()) * head_bytes;
            backend_.upload(place, used);
        }
}

std::span<const float> Session::decode(std::span<const int32_t> ids) {
    CHECK(static_cast<int64_t>(ids.size()) == sequences_);
    check_room(ids, 1);
    prepare_decode();
    for (int64_t i = 0; i < sequences_; ++i) decode_.rows.put(i, ids[static_cast<size_t>(i)], i, position_);
    decode_.rows.upload(decode_.plan);
    decode_.plan.run({});
    decode_.plan.get(decode_.logits, std::span(logits_));
    ++position_;
    return logits_;
}

}  // namespace nib

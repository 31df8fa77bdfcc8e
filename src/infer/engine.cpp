#include "infer/engine.h"

#include <algorithm>

#include "core/align.h"
#include "core/error.h"

namespace nib {
namespace {

// Rows of the plans besides the one for one token of each slot: for short prompts, and for pieces of long ones.
constexpr int64_t kShort = 16, kLong = 512;

EngineOptions checked(EngineOptions o, const ModelConfig& config) {
    if (o.slots < 1) fail("an engine needs one slot at least");
    if (o.cache_type != DType::F32 && o.cache_type != DType::F16) fail("keys and values are kept as f32 or f16");
    if (o.logit_rows < 0) fail("%lld rows with logits make no sense", static_cast<long long>(o.logit_rows));
    if (o.logit_rows == 0) o.logit_rows = o.slots;
    if (o.sources < 0) fail("%lld sources make no sense", static_cast<long long>(o.sources));
    if (o.sources == 0) o.sources = o.slots;
    if (o.context < 0 || o.context > config.context)
        fail("texts of %lld tokens do not fit the model's context of %lld", static_cast<long long>(o.context),
             static_cast<long long>(config.context));
    if (o.context == 0) o.context = config.context;
    if (o.source_context < 0 || o.source_context > config.context)
        fail("sources of %lld tokens do not fit the model's context of %lld", static_cast<long long>(o.source_context),
             static_cast<long long>(config.context));
    if (o.source_context == 0) o.source_context = config.context;
    return o;
}

}  // namespace

Engine::Engine(Backend& backend, const ModelConfig& config, const Weights& weights, const EngineOptions& options)
    : backend_(backend),
      config_(config),
      options_(checked(options, config)),
      model_(make_model(config)),
      weights_(weights) {
    model_->head("lm");  // or there is nothing to run
    const int64_t N = options_.slots;
    if (const double bytes = cache_bytes(config, options_); bytes > 0x1p62)
        fail("the keys and values of %lld sequences need %s of memory; use fewer", static_cast<long long>(N),
             human_bytes(bytes).c_str());
    size_t end = 0;
    const auto place = [&](int64_t texts, int64_t rows) {
        const size_t bytes = align_up(dtype_bytes(options_.cache_type, texts * rows * config.kv() * config.head_dim()));
        for (int64_t part = 0; part < 2 * config.layers; ++part) {
            cache_offsets_.push_back(fit_segment(end, bytes, backend.segment(), "keys and values of a layer"));
            end = cache_offsets_.back() + bytes;
        }
    };
    place(N, context());
    if (config.has_encoder()) {
        place(options_.sources, source_context());
        source_lengths_.assign(static_cast<size_t>(options_.sources), 0);
        for (int64_t slot = 0; slot < N; ++slot) source_of_.push_back(std::min(slot, options_.sources - 1));
    }
    cache_buffer_ = backend.allocate(end);
    lengths_.assign(static_cast<size_t>(N), 0);
    next_.assign(static_cast<size_t>(N), -1);
    logits_.reserve(static_cast<size_t>(N * config.vocab));
    const int64_t most = N * context();
    for (const int64_t rows : {N, std::max(N, kShort), std::max(N, kLong)}) {
        const int64_t size = std::min(rows, most);
        if (!passes_.empty() && size == passes_.back().rows) continue;
        passes_.emplace_back();
        passes_.back().rows = size, passes_.back().logit_rows = std::min(size, options_.logit_rows);
    }
    const auto rows = static_cast<size_t>(passes_.back().rows);
    for (auto* values : {&ids_, &slots_, &positions_, &wanted_, &sources_}) values->resize(rows);
    for (auto* values : {&spans_, &source_spans_}) values->resize(2 * rows);
    appended_.reserve(rows);
    copies_.reserve(static_cast<size_t>(2 * config.layers * config.kv()));
}

Engine::~Engine() {
    if (cache_buffer_ >= 0) backend_.release(cache_buffer_);
}

double Engine::cache_bytes(const ModelConfig& c, const EngineOptions& options) {
    const EngineOptions o = checked(options, c);
    const double sources = c.has_encoder() ? static_cast<double>(o.sources) * static_cast<double>(o.source_context) : 0;
    const double rows = static_cast<double>(o.slots) * static_cast<double>(o.context) + sources;
    return 2 * rows * static_cast<double>(c.layers * c.kv() * c.head_dim()) *
           static_cast<double>(dtype_bytes(o.cache_type, 1));
}

Location Engine::cache(int64_t layer, bool values) const {
    return {cache_buffer_, cache_offsets_[static_cast<size_t>(2 * layer + values)]};
}

void Engine::check_slot(int64_t slot) const {
    if (slot < 0 || slot >= slots())
        fail("there is no slot %lld of %lld", static_cast<long long>(slot), static_cast<long long>(slots()));
}

int64_t Engine::length(int64_t slot) const {
    check_slot(slot);
    return lengths_[static_cast<size_t>(slot)];
}

void Engine::truncate(int64_t slot, int64_t length) {
    if (length < 0 || length > this->length(slot))
        fail("slot %lld has %s, not %lld", static_cast<long long>(slot), counted(this->length(slot), "token").c_str(),
             static_cast<long long>(length));
    lengths_[static_cast<size_t>(slot)] = length;
}

void Engine::check_source(int64_t source) const {
    if (!config_.has_encoder()) fail("the model has no encoder that could read a source");
    if (source < 0 || source >= options_.sources)
        fail("there is no source %lld of %lld", static_cast<long long>(source), static_cast<long long>(options_.sources));
}

void Engine::attend(int64_t slot, int64_t source) {
    check_slot(slot);
    check_source(source);
    source_of_[static_cast<size_t>(slot)] = source;
    lengths_[static_cast<size_t>(slot)] = 0;
}

void Engine::encode(std::span<const EngineSource> sources) {
    for (const EngineSource& s : sources) {
        check_source(s.source);
        if (s.tokens.empty() || std::ssize(s.tokens) > source_context())
            fail("a source has 1 to %lld tokens, not %zu", static_cast<long long>(source_context()), s.tokens.size());
        check_tokens(s.tokens, config_.source_tokens());
    }
    if (!sources.empty() && !source_pass_.plan.backend) compile_source_pass();
    while (!sources.empty()) sources = sources.subspan(encode_some(sources));
}

// Reads as many of the first sources as fit into a pass; how many.
size_t Engine::encode_some(std::span<const EngineSource> all) {
    const auto R = static_cast<size_t>(source_pass_.rows);
    auto &ids = source_pass_.ids, &positions = source_pass_.positions, &sources = source_pass_.source_values,
         &spans = source_pass_.span_values;
    size_t used = 0, count = 0;
    for (; count < all.size() && used + all[count].tokens.size() <= R; ++count) {
        const EngineSource& s = all[count];
        const size_t begin = used, end = begin + s.tokens.size();
        for (; used < end; ++used) {
            ids[used] = s.tokens[used - begin], positions[used] = static_cast<int32_t>(used - begin);
            sources[used] = static_cast<int32_t>(s.source);
            spans[2 * used] = static_cast<int32_t>(begin), spans[2 * used + 1] = static_cast<int32_t>(end);
        }
        source_lengths_[static_cast<size_t>(s.source)] = std::ssize(s.tokens);
        for (size_t slot = 0; slot < lengths_.size(); ++slot)
            if (source_of_[slot] == s.source) lengths_[slot] = 0;
    }
    // Spans never decrease, not even those of rows that are not in use.
    std::fill(spans.begin() + static_cast<std::ptrdiff_t>(2 * used), spans.end(), static_cast<int32_t>(used));
    const Plan& plan = source_pass_.plan;
    source_pass_.tokens.set(plan, ids, positions);
    plan.set<int32_t>(source_pass_.sources, sources);
    plan.set<int32_t>(source_pass_.spans, spans);
    plan.run({.rows = {static_cast<int64_t>(used)}});
    return count;
}

// Of the model's layers: of their own keys and values, or, from number `layers` on, of those of sources.
std::vector<KvCache> Engine::caches(int64_t first, int64_t count, int64_t rows) const {
    std::vector<KvCache> layers;
    for (int64_t l = first; l < first + config_.layers && 2 * l < std::ssize(cache_offsets_); ++l)
        layers.push_back(
            {cache(l, false), cache(l, true), options_.cache_type, count, config_.kv(), rows, config_.head_dim()});
    return layers;
}

void Engine::compile_source_pass() {
    Graph g(Mode::Infer);
    const RowCount rows = g.add_row_count();
    const int64_t R = std::max(source_context(), std::min(kLong, options_.sources * source_context()));
    source_pass_.rows = R;
    for (auto* values : {&source_pass_.ids, &source_pass_.positions, &source_pass_.source_values})
        values->resize(static_cast<size_t>(R));
    source_pass_.span_values.resize(static_cast<size_t>(2 * R));
    source_pass_.tokens = TokenInputs::of_source(g, config_, 1, R, rows);
    source_pass_.sources = g.input("sources", {1, R}, DType::I32, rows);
    source_pass_.spans = g.input("spans", {1, R, 2}, DType::I32, rows);
    ModelInputs inputs = source_pass_.tokens.inputs(weights_);
    inputs.spans = source_pass_.spans;
    const std::vector<KvCache> layers = source_caches();
    model_->store_source(g, inputs, {layers, source_pass_.sources, {}});
    source_pass_.plan = compile(std::move(g), backend_);
}

void Engine::compile_pass(Pass& pass) {
    const int64_t R = pass.rows, L = pass.logit_rows;
    const std::vector<KvCache> layers = caches(0, slots(), context()), of_sources = source_caches();
    Graph g(Mode::Infer);
    const RowCount rows = g.add_row_count();
    pass.tokens = TokenInputs(g, config_, 1, R, rows);
    pass.slots = g.input("slots", {1, R}, DType::I32, rows);
    pass.spans = g.input("spans", {1, R, 2}, DType::I32, rows);
    const CacheInputs cache{layers, pass.slots, pass.spans};
    ModelInputs inputs = pass.tokens.inputs(weights_, 0, &cache);
    CacheInputs source_cache{of_sources, {}, {}};
    if (config_.has_encoder()) {
        pass.sources = source_cache.slots = g.input("sources", {1, R}, DType::I32, rows);
        pass.source_spans = source_cache.spans = g.input("source spans", {1, R, 2}, DType::I32, rows);
        inputs.source_cache = &source_cache;
    }
    Tensor hidden = model_->hidden(g, inputs);  // (1,R,C)
    if (R > 1) {                                // a single row is the one that wants logits
        pass.wanted = g.input("wanted", {L}, DType::I32);
        hidden = g.gather(hidden, pass.wanted, g.add_row_count());  // (1,L,C)
    }
    pass.logits = g.output(model_->logits(g, weights_, model_->head("lm"), hidden));  // (1,L,V)
    pass.plan = compile(std::move(g), backend_);
}

// The smallest pass with room for this many rows, or the largest.
Engine::Pass& Engine::pass_for(size_t rows) {
    const auto fits = [&](const Pass& pass) { return static_cast<size_t>(pass.rows) >= rows; };
    auto found = std::find_if(passes_.begin(), passes_.end(), fits);
    if (found == passes_.end()) --found;
    if (!found->plan.backend) compile_pass(*found);
    return *found;
}

void Engine::prepare(int64_t rows) {
    for (auto left = static_cast<size_t>(std::max<int64_t>(rows, 0)); left > 0;)
        left -= std::min(left, static_cast<size_t>(pass_for(left).rows));
}

void Engine::check_rows(std::span<const EngineRow> rows) {
    std::fill(next_.begin(), next_.end(), -1);
    for (const EngineRow& row : rows) {
        check_slot(row.slot);
        if (config_.has_encoder() && source_lengths_[static_cast<size_t>(source_of_[static_cast<size_t>(row.slot)])] == 0)
            fail("slot %d has no source to attend to", row.slot);
        int64_t& next = next_[static_cast<size_t>(row.slot)];
        if (row.token < 0 || row.token >= vocab())
            fail("token %d is not among the %lld of the model", row.token, static_cast<long long>(vocab()));
        const bool follows = next < 0 ? row.position >= 0 && row.position <= length(row.slot) : row.position == next;
        if (!follows || row.position >= context())
            fail("a token cannot stand at position %lld of slot %d, which has %lld tokens and room for %lld",
                 static_cast<long long>(row.position), row.slot, static_cast<long long>(next < 0 ? length(row.slot) : next),
                 static_cast<long long>(context()));
        next = row.position + 1;
    }
}

// Evaluates as many of the first rows as fit. Writes their logits to the front of `logits`, and advances that.
size_t Engine::run(Pass& pass, std::span<const EngineRow> rows, std::span<float>& logits) {
    size_t count = 0, wanted = 0;
    for (const EngineRow& row : rows.first(std::min(rows.size(), static_cast<size_t>(pass.rows)))) {
        if (row.logits && wanted == static_cast<size_t>(pass.logit_rows)) break;
        if (row.logits) wanted_[wanted++] = static_cast<int32_t>(count);
        ids_[count] = row.token, slots_[count] = row.slot, positions_[count] = static_cast<int32_t>(row.position);
        spans_[2 * count] = 0, spans_[2 * count + 1] = static_cast<int32_t>(row.position + 1);
        if (config_.has_encoder()) {
            const int64_t source = source_of_[static_cast<size_t>(row.slot)];
            sources_[count] = static_cast<int32_t>(source);
            source_spans_[2 * count + 1] = static_cast<int32_t>(source_lengths_[static_cast<size_t>(source)]);
        }
        ++count;
    }
    std::fill(wanted_.begin() + static_cast<ptrdiff_t>(wanted), wanted_.end(), 0);  // a plan computes one row at least
    const Plan& plan = pass.plan;
    const auto R = static_cast<size_t>(pass.rows);
    pass.tokens.set(plan, std::span(ids_).first(R), std::span(positions_).first(R));
    plan.set<int32_t>(pass.slots, std::span(slots_).first(R));
    plan.set<int32_t>(pass.spans, std::span(spans_).first(2 * R));
    if (pass.sources) {
        plan.set<int32_t>(pass.sources, std::span(sources_).first(R));
        plan.set<int32_t>(pass.source_spans, std::span(source_spans_).first(2 * R));
    }
    if (pass.wanted) plan.set<int32_t>(pass.wanted, std::span(wanted_).first(static_cast<size_t>(pass.logit_rows)));
    plan.run({
        .rows = {static_cast<int64_t>(count), static_cast<int64_t>(std::max<size_t>(wanted, 1))}
    });
    const size_t floats = wanted * static_cast<size_t>(vocab());
    if (wanted > 0) plan.get(pass.logits, logits.first(floats));
    logits = logits.subspan(floats);
    return count;
}

std::span<const float> Engine::step(std::span<const EngineRow> rows) {
    check_rows(rows);
    const auto wanted = std::count_if(rows.begin(), rows.end(), [](const EngineRow& row) { return row.logits; });
    logits_.resize(static_cast<size_t>(wanted * vocab()));
    std::span<float> left(logits_);
    while (!rows.empty()) rows = rows.subspan(run(pass_for(rows.size()), rows, left));
    for (size_t slot = 0; slot < lengths_.size(); ++slot)
        if (next_[slot] >= 0) lengths_[slot] = next_[slot];
    return logits_;
}

std::span<const float> Engine::append(int64_t slot, std::span<const int32_t> tokens) {
    if (tokens.empty()) fail("there is no token to append");
    int64_t position = length(slot);
    appended_.clear();
    for (const int32_t token : tokens) appended_.push_back({token, static_cast<int32_t>(slot), position++, false});
    appended_.back().logits = true;
    return step(appended_);
}

void Engine::copy(int64_t from, int64_t to, int64_t count) {
    check_slot(to);
    if (count < 0 || count > length(from))
        fail("slot %lld has %s, not %lld", static_cast<long long>(from), counted(length(from), "token").c_str(),
             static_cast<long long>(count));
    if (from == to) return truncate(to, count);
    if (config_.has_encoder()) source_of_[static_cast<size_t>(to)] = source_of_[static_cast<size_t>(from)];
    const size_t row = dtype_bytes(options_.cache_type, config_.head_dim());
    copies_.clear();
    for (int64_t part = 0; part < 2 * config_.layers; ++part)
        for (int64_t g = 0; g < config_.kv(); ++g) {
            const auto place = [&](int64_t slot) {  // of the keys or values (S,D) of a head
                Location where = cache(part / 2, part % 2 != 0);
                where.offset += static_cast<size_t>((slot * config_.kv() + g) * context()) * row;
                return where;
            };
            copies_.push_back({place(from), place(to), row * static_cast<size_t>(count)});
        }
    if (count > 0) backend_.copy(copies_);
    lengths_[static_cast<size_t>(to)] = count;
}

}  // namespace nib

#include "task/windows.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/op.h"  // kIgnore
#include "core/philox.h"

namespace nib {
namespace {

__extension__ using Wide = unsigned __int128;

}  // namespace

int64_t draw_below(const std::array<uint32_t, 4>& words, int64_t below) {
    const uint64_t bits = uint64_t{words[1]} << 32 | words[0];
    return static_cast<int64_t>(static_cast<uint64_t>(Wide{bits} * static_cast<uint64_t>(below) >> 64));
}

int64_t window_start(uint64_t seed, uint32_t step, uint32_t row, Span span, int64_t context) {
    if (context < 1 || span.size() <= context)
        fail("%lld tokens have no window of %lld and the next one", static_cast<long long>(span.size()),
             static_cast<long long>(context));
    return span.begin + draw_below(philox({row, 0, kBatchStream, step}, seed), span.size() - context);
}

void read_window(const TokenText& text, int64_t start, std::span<int32_t> ids, std::span<int32_t> targets) {
    if (ids.empty() || ids.size() != targets.size()) fail("a window needs as many targets as tokens, and one at least");
    text.read(start, ids);
    std::copy(ids.begin() + 1, ids.end(), targets.begin());
    text.read(start + static_cast<int64_t>(ids.size()), targets.last(1));
}

void isolate_documents(const TokenText& text, int64_t start, std::span<int32_t> targets, std::span<int32_t> positions) {
    if (targets.size() != positions.size())
        fail("there are %zu targets, but %zu positions", targets.size(), positions.size());
    const auto size = static_cast<int64_t>(positions.size());
    for (int64_t at = 0, number = text.document_of(start); at < size; ++number) {
        const int64_t end = std::min(size, text.document(number).end - start);
        for (int64_t t = at; t < end; ++t) positions[static_cast<size_t>(t)] = static_cast<int32_t>(t - at);
        if (text.document(number).end - start == end) targets[static_cast<size_t>(end - 1)] = kIgnore;
        at = end;
    }
}

EvalWindows::EvalWindows(Span span, int64_t context, int64_t tokens) : span_(span), context_(context) {
    const int64_t predicted = span.size() - 1;
    whole_ = tokens == 0 || tokens >= predicted;
    if (context < 1 || tokens < 0 || predicted < (whole_ ? 1 : context))
        fail("%lld tokens cannot be measured in windows of %lld", static_cast<long long>(span.size()),
             static_cast<long long>(context));
    count_ = whole_ ? (predicted + context - 1) / context : std::max<int64_t>(1, tokens / context);
}

int64_t EvalWindows::start(int64_t i) const {
    if (whole_) return span_.begin + i * context_;
    const int64_t last = span_.size() - 1 - context_;
    return span_.begin + (count_ == 1 ? 0
                                      : static_cast<int64_t>(static_cast<Wide>(last) * static_cast<Wide>(i) /
                                                             static_cast<Wide>(count_ - 1)));
}

int64_t EvalWindows::length(int64_t i) const { return std::min(context_, span_.end - 1 - start(i)); }

}  // namespace nib

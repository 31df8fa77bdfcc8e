#include "text/token_text.h"

#include "core/error.h"

namespace nib {

void TokenText::check_inside(int64_t begin, size_t count) const {
    if (begin < 0 || begin > size() || static_cast<int64_t>(count) > size() - begin)
        fail("%zu tokens from number %lld on are not within a text of %lld", count, static_cast<long long>(begin),
             static_cast<long long>(size()));
}

int64_t TokenText::document_of(int64_t token) const {
    check_inside(token, 1);
    int64_t low = 0, high = documents() - 1;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (document(middle).end <= token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t validation_start(int64_t size, double val_fraction) {
    return static_cast<int64_t>(static_cast<double>(size) * (1 - val_fraction));
}

std::pair<Span, Span> split(const TokenText& text, double val_fraction, int64_t context) {
    if (context < 0) fail("a context of %lld tokens is none", static_cast<long long>(context));
    if (!(val_fraction >= 0 && val_fraction < 1))
        fail("the validation fraction is %g; it must be at least 0 and below 1", val_fraction);
    const int64_t size = text.size(), needed = context > 0 ? context + 1 : 0;
    const int64_t cut = validation_start(size, val_fraction);
    const Span train{0, cut}, val{cut, size};
    if (train.size() >= needed && (val_fraction == 0 || val.size() >= needed)) return {train, val};
    const auto least = static_cast<long long>(needed);
    if (val_fraction == 0)
        fail_with(Remedy::ShortenContext, "the text is too short: it has %s, and a context of %lld needs at least %lld",
                  counted(size, text.unit()).c_str(), static_cast<long long>(context), least);
    fail_with(Remedy::ShortenContext,
              "the text is too short: of its %s %lld train and %lld validate, and a context of %lld needs at least "
              "%lld in each part",
              counted(size, text.unit()).c_str(), static_cast<long long>(train.size()), static_cast<long long>(val.size()),
              static_cast<long long>(context), least);
}

}  // namespace nib

// Calls of single ops (check/op_case.h, check/operands.h) for GoogleTest: their guards, and the results of two runs.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "check/op_check.h"
#include "core/error.h"
#include "ref/kernels.h"

namespace nib::test {

using check::for_each_case, check::make_case, check::OpCase, check::op_tolerance, check::Random, check::Tolerance;

/// No run may write outside its tensors.
template <class Real>
struct Operands : check::Operands<Real> {
    using check::Operands<Real>::Operands;
    template <class... Ranges>
    void run(const KernelTable& table, const Ranges&... ranges) {
        check::Operands<Real>::run(table, ranges...);
        EXPECT_EQ(this->overrun(), "") << this->description().text();
    }
};

/// Compares all outputs of the same case. Int outputs must be equal.
template <class A, class B>
testing::AssertionResult near_to(const Operands<A>& got, const Operands<B>& expected, const Tolerance& tolerance) {
    const std::string mismatch = check::compare<A, B>(got, expected, tolerance).mismatch;
    return mismatch.empty() ? testing::AssertionSuccess() : testing::AssertionFailure() << mismatch;
}

/// Whether all outputs are the same, bit for bit.
inline testing::AssertionResult same(const Operands<float>& got, const Operands<float>& expected, const char* what) {
    for (int i = kMaxIn; i < kMaxOperands; ++i) {
        if (!got[i].present() || std::memcmp(got[i].data(), expected[i].data(), got[i].bytes()) == 0) continue;
        size_t at = 0;
        while (got[i].data()[at] == expected[i].data()[at]) ++at;
        return testing::AssertionFailure()
               << what << ": " << op_info(got.description().op).operands[i].name << " differs at byte " << at << " of "
               << got[i].bytes() << ": " << got.description().text();
    }
    return testing::AssertionSuccess();
}

/// Of how many cases one is taken: of one, or of seven where NIB_QUICK is set (`make QUICK=1`, for sanitizers and
/// emulators). Options and sizes do not repeat with a period of seven.
inline int sampling() {
    const char* quick = std::getenv("NIB_QUICK");
    return quick && *quick ? 7 : 1;
}

/// A body for loops over cases: those that are taken.
template <class Body>
auto sampled(const Body& body) {
    return [body, every = sampling(), n = 0](const OpCase& c) mutable {
        if (n++ % every == 0 && !testing::Test::HasFatalFailure()) body(c);
    };
}

/// Sizes that leave every tail in vectors of up to 16 and in blocks of up to 128.
inline std::vector<int64_t> tail_sizes() {
    std::vector<int64_t> sizes;
    for (int64_t i = 1; i <= 40; ++i) sizes.push_back(i);
    for (const int64_t i : {63, 64, 65, 127, 128, 129, 130, 192, 768}) sizes.push_back(i);
    return sizes;
}

}  // namespace nib::test

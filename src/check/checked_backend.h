// A backend that checks every node of every plan against the reference.
#pragma once

#include <functional>
#include <string>

#include "check/op_check.h"
#include "core/plan.h"
#include "core/wrapped_backend.h"

namespace nib::check {

/// Runs plans on another backend node by node, each as a plan of its own, and each on the reference too, with the same
/// inputs. Results are the other backend's, bit for bit.
class CheckedBackend : public WrappedBackend {
public:
    /// `report` gets a line for each node whose result differs.
    CheckedBackend(Backend& inner, std::function<void(const std::string&)> report)
        : WrappedBackend(inner), report_(std::move(report)) {}

    void prepare(Plan&) override {}
    void run(const Plan& plan, const Step& step) override;

    struct Summary {
        int64_t nodes = 0, failures = 0;
        double error = 0;   // the largest relative one (L2)
        Op op = Op::Count;  // where
    };
    const Summary& summary() const { return summary_; }

private:
    void check(const Plan& plan, const Node& node, int64_t sequences, const Step& step);

    std::function<void(const std::string&)> report_;
    Summary summary_;
};

}  // namespace nib::check

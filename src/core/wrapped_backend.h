// A backend that forwards every call to another one, for subclasses to override some of them.
#pragma once

#include "core/backend.h"

namespace nib {

class WrappedBackend : public Backend {
public:
    /// `inner` must outlive it.
    explicit WrappedBackend(Backend& inner) : inner_(inner) {}

    std::string name() const override { return inner_.name(); }
    const Division& division() const override { return inner_.division(); }
    bool supports(const Node& node) const override { return inner_.supports(node); }
    size_t segment() const override { return inner_.segment(); }
    int map_weights(std::span<const std::byte> bytes, std::span<const size_t> cuts) override {
        return inner_.map_weights(bytes, cuts);
    }
    int allocate(size_t bytes) override { return inner_.allocate(bytes); }
    void release(int buffer) override { inner_.release(buffer); }
    void upload(Location to, std::span<const std::byte> bytes) override { inner_.upload(to, bytes); }
    void download(Location from, std::span<std::byte> bytes) const override { inner_.download(from, bytes); }
    void copy(std::span<const Copy> copies) override { inner_.copy(copies); }
    void prepare(Plan& plan) override { inner_.prepare(plan); }
    void run(const Plan& plan, const Step& step) override { inner_.run(plan, step); }
    Peak measure_peak(const Stopwatch& stopwatch) override { return inner_.measure_peak(stopwatch); }

protected:
    Backend& inner_;
};

}  // namespace nib

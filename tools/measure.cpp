#include "measure.h"

#include <algorithm>
#include <chrono>

namespace nib {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

double time_of(const std::function<void()>& work, int runs) {
    work();
    std::vector<double> times;
    for (const double start = now(); static_cast<int>(times.size()) < runs || now() - start < 0.5;) {
        const double begin = now();
        work();
        times.push_back(now() - begin);
    }
    return median(times);
}

Peak measure_peak(Backend& backend) {
    return backend.measure_peak([](const std::function<void()>& work) { return time_of(work); });
}

}  // namespace nib

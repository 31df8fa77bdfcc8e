// Pages for a terminal about one training or several: what there is to say, and curves.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/run_log.h"

namespace nib {

struct PageSize {
    int columns = 80, rows = 24;
    bool colors = false;
};

/// At most so many trainings on one page.
constexpr size_t kMostRuns = 26;

/// Lines about a training, without colours: its name, how far it is, time and speed; its losses; its scores, if it has any.
std::string describe(const RunLog& run);

/// The losses of all runs in one diagram, beside it the score that decides, where there is one, and below, as far as there
/// is room and something to show, learning rates, gradient norms and speeds. Lines with ends.
std::string run_page(const std::vector<std::unique_ptr<RunLog>>& runs, const PageSize& size);

}  // namespace nib

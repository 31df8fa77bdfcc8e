// Small trainings in a folder of their own, for tests of whole runs.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "test_errors.h"
#include "test_files.h"
#include "train/trainer.h"

namespace nib::test {

class TrainingFolder {
protected:
    TrainingFolder() {
        std::string text;
        for (int i = 0; i < 60; ++i) text += "the fox " + std::to_string(i) + " and the crow; ";
        put("text.txt", text);
    }

    void put(const std::string& name, const std::string& text) const { write_file(folder_ / name, text); }
    std::string get(const std::string& name) const { return read_file(folder_ / name); }
    bool has(const std::string& name) const { return fs::exists(folder_ / name); }

    TrainRequest request(const std::string& name) const {
        TrainRequest r;
        r.inputs = {(folder_ / "text.txt").string()};
        r.output = (folder_ / name).string();
        TrainOptions& o = r.options;
        o.layers = 2;
        o.heads = 2;
        o.embd = 16;
        o.context = 8;
        return r;
    }

    static TrainResult run(const TrainRequest& r, TrainHooks hooks = {}, int threads = 2, const char* isa = "auto") {
        CpuBackend backend(kernel_table(isa), threads);
        return run(backend, r, std::move(hooks));
    }
    static TrainResult run(Backend& backend, const TrainRequest& r, TrainHooks hooks = {}) {
        Progress silent(nullptr, false, 1);
        return Trainer(backend, prepare_training(r, backend), silent, std::move(hooks)).run();
    }

    static std::string error_of(const TrainRequest& r) {
        return test::error_of([&] { run(r); });
    }

    TempFolder folder_;
};

class TinyTraining : public testing::Test, protected TrainingFolder {};

}  // namespace nib::test

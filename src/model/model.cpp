#include "model/model.h"

#include "core/error.h"

namespace nib {

const Head& Model::head(std::string_view name) const {
    std::string names;
    for (const Head& head : heads_) {
        if (head.name == name) return head;
        names += (names.empty() ? "" : ", ") + std::string(head.name);
    }
    fail("the model has no head `%s`; it has %s", printable(name, 60).c_str(), names.empty() ? "none" : names.c_str());
}

void Model::add_task_heads() {
    constexpr float kStd = 0.02f;
    for (const HeadConfig& head : config_.task_heads) {
        if (head.name != "class") fail("a decoder has no head `%s`", printable(head.name, 60).c_str());
        add_head("class", HeadRows::Last, head.outputs,
                 list_.linear("cls.output", head.outputs, config_.embd, kStd, false));
    }
}

Tensor Model::features(Graph&, const Weights&, const Head&, Tensor rows) const { return rows; }

void Model::store_source(Graph&, const ModelInputs&, const CacheInputs&) const {
    fail("the model has no encoder that could read a source");
}

}  // namespace nib

// BERT as transformers saves it: the bare model, and with each of its heads.
#include <nlohmann/json.hpp>

#include "model/families.h"
#include "model/hf_config.h"

namespace nib {
namespace {

constexpr Endings kDecoder{".decoder.weight", ".bias"};
constexpr Endings kGammaBeta{".gamma", ".beta"};  // of checkpoints made of TensorFlow's

constexpr StoredAs kBody[] = {
    {"token_embd",              {"embeddings.word_embeddings"},                 kNoBias    },
    {"position_embd",           {"embeddings.position_embeddings"},             kNoBias    },
    {"token_types",             {"embeddings.token_type_embeddings"},           kNoBias    },
    {"token_embd_norm",         {"embeddings.LayerNorm"},                       kWeightBias},
    {"token_embd_norm",         {"embeddings.LayerNorm"},                       kGammaBeta },
    {"blk.#.attn_q",            {"encoder.layer.#.attention.self.query"},       kWeightBias},
    {"blk.#.attn_k",            {"encoder.layer.#.attention.self.key"},         kWeightBias},
    {"blk.#.attn_v",            {"encoder.layer.#.attention.self.value"},       kWeightBias},
    {"blk.#.attn_output",       {"encoder.layer.#.attention.output.dense"},     kWeightBias},
    {"blk.#.attn_output_norm",  {"encoder.layer.#.attention.output.LayerNorm"}, kWeightBias},
    {"blk.#.attn_output_norm",  {"encoder.layer.#.attention.output.LayerNorm"}, kGammaBeta },
    {"blk.#.ffn_up",            {"encoder.layer.#.intermediate.dense"},         kWeightBias},
    {"blk.#.ffn_down",          {"encoder.layer.#.output.dense"},               kWeightBias},
    {"blk.#.layer_output_norm", {"encoder.layer.#.output.LayerNorm"},           kWeightBias},
    {"blk.#.layer_output_norm", {"encoder.layer.#.output.LayerNorm"},           kGammaBeta },
    {"cls",                     {"pooler.dense"},                               kWeightBias},
};
// A classifier is one of texts or of tokens: the class of the model says which.
constexpr StoredAs kHeads[] = {
    {"mlm.dense",   {"cls.predictions.transform.dense"},     kWeightBias},
    {"mlm.norm",    {"cls.predictions.transform.LayerNorm"}, kWeightBias},
    {"mlm.norm",    {"cls.predictions.transform.LayerNorm"}, kGammaBeta },
    {"output",      {"cls.predictions"},                     kDecoder   },
    {"nsp.output",  {"cls.seq_relationship"},                kWeightBias},
    {"cls.output",  {"classifier"},                          kWeightBias},
    {"tag.output",  {"classifier"},                          kWeightBias},
    {"span.output", {"qa_outputs"},                          kWeightBias},
};
// The bias of the masked words' head has two names and is saved under one or both.
constexpr std::string_view kConstants[] = {"embeddings.position_ids", "embeddings.token_type_ids",
                                           "cls.predictions.decoder.bias"};

constexpr Layout kLayouts[] = {
    {.name = "BERT",
     .body = kBody,
     .heads = kHeads,
     .constants = kConstants,
     .prefix = "bert.",
     .act = Act::GeluErf,
     .tied = true},
};

constexpr HfType kTypes[] = {
    {"bert", "Bert"}
};
constexpr HfClass kClasses[] = {
    {"BertModel",                     {},             true },
    {"BertForPreTraining",            {"mlm", "nsp"}, true },
    {"BertForMaskedLM",               {"mlm"},        false},
    {"BertForNextSentencePrediction", {"nsp"},        true },
    {"BertForSequenceClassification", {"class"},      true },
    {"BertForTokenClassification",    {"tag"},        false},
    {"BertForQuestionAnswering",      {"span"},       false},
};
constexpr Act kActs[] = {Act::GeluErf, Act::GeluTanh, Act::Relu, Act::Silu};
constexpr SizeKeys kSizes[] = {
    {&ModelConfig::layers,   {"num_hidden_layers"}      },
    {&ModelConfig::heads,    {"num_attention_heads"}    },
    {&ModelConfig::embd,     {"hidden_size"}            },
    {&ModelConfig::context,  {"max_position_embeddings"}},
    {&ModelConfig::vocab,    {"vocab_size"}             },
    {&ModelConfig::ffn,      {"intermediate_size"}      },
    {&ModelConfig::segments, {"type_vocab_size"}        },
};

void read(const JsonValue& json, ModelConfig&) {
    require_options(json, {
                              {"is_decoder",          false},
                              {"add_cross_attention", false},
    });
    if (const auto kind = json.find("position_embedding_type"); kind && kind->text() != "absolute")
        refuse_option(*kind, kind->text());
}

void write(const ModelConfig&, nlohmann::json& json) {
    json["position_embedding_type"] = "absolute";
    json["pad_token_id"] = 0;
}

}  // namespace

constinit const CheckpointFormat kBertCheckpoints = {
    .types = kTypes,
    .model_class = nullptr,
    .sizes = kSizes,
    .eps_keys = {"layer_norm_eps"},
    .act_key = "hidden_act",
    .acts = kActs,
    .layouts = kLayouts,
    .read = read,
    .write = write,
    .classes = kClasses,
};

}  // namespace nib

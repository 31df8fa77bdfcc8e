#include "model/convert.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/gguf.h"
#include "model/architecture.h"
#include "model/encode.h"
#include "model/loaded_model.h"
#include "model/tensor_names.h"
#include "quant/quantize.h"
#include "text/chat_template_files.h"
#include "text/extended_tokenizer.h"
#include "text/marian_files.h"
#include "text/token_numbers.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_gguf.h"
#include "text/vocabulary.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

void refuse_same_file(const std::string& output, const std::string& input) {
    std::error_code error;
    if (fs::equivalent(output, input, error))
        fail("%s: is both read and written; choose another name for the output", printable(output).c_str());
}

int64_t elements_of(const std::vector<int64_t>& shape) {
    int64_t elements = 1;
    for (const int64_t d : shape) elements *= d;
    return elements;
}

DType type_of(const ImportedModel& model) {
    const SourceType type = model.tensors.front().from.front().type;
    return type == SourceType::F16 ? DType::F16 : type == SourceType::BF16 ? DType::BF16 : DType::F32;
}

// Vocabularies are padded to multiples of 64 or 128 for speed, as nanoGPT's is; anything else is worth a word.
void warn_of_missing_tokens(int64_t tokens, int64_t rows, const ConvertReports& reports) {
    const auto padded_to = [&](int64_t multiple) { return (tokens + multiple - 1) / multiple * multiple; };
    if (rows > tokens && rows != padded_to(64) && rows != padded_to(128))
        reports.warn(strprintf("the tokenizer has %lld tokens, the model %lld: the others write nothing",
                               static_cast<long long>(tokens), static_cast<long long>(rows)));
}

// The two tokenizers of a translation model; whether there are any.
bool write_translation_vocabularies(GgufWriter& writer, const ConvertRequest& request, const ImportedModel& model,
                                    const ConvertReports& reports) {
    const std::string folder = request.vocab.empty() ? model.folder : request.vocab;
    if (!model.config.has_encoder() || folder.empty() || folder == "none") return false;
    std::optional<TranslationTokenizers> both = load_translation_tokenizers(folder);
    if (!both) return false;
    const auto fit = [&](std::unique_ptr<Tokenizer> one, int64_t rows) {
        if (request.end_token) one->set_end_token(*request.end_token);
        warn_of_missing_tokens(one->token_count(), rows, reports);
        return padded(std::move(one), rows);
    };
    write_tokenizer(writer, *fit(std::move(both->source), model.config.source_tokens()));
    write_target_tokenizer(writer, *fit(std::move(both->target), model.config.vocab));
    return true;
}

void write_vocabulary(GgufWriter& writer, const ConvertRequest& request, const ImportedModel& model,
                      const ConvertReports& reports) {
    if (write_translation_vocabularies(writer, request, model, reports)) return;
    std::unique_ptr<Tokenizer> tokenizer;
    std::vector<std::string> notes;
    if (request.vocab == "none")
        tokenizer = nullptr;
    else if (!request.vocab.empty())
        tokenizer = open_vocabulary(request.vocab, model.begin, model.end, notes);
    else if (!model.folder.empty())
        tokenizer = load_tokenizer(model.folder);
    if (tokenizer != nullptr) {
        if (request.end_token)
            tokenizer->set_end_token(*request.end_token);
        else
            for (const std::string& note : notes) reports.warn(note);
        const int64_t tokens = tokenizer->token_count();
        tokenizer = padded(std::move(tokenizer), model.config.vocab);
        warn_of_missing_tokens(tokens, model.config.vocab, reports);
        if (!write_tokenizer(writer, *tokenizer))
            reports.warn("llama.cpp gives other ids: its keys cannot say all that this tokenizer does");
        if (const std::string chat = load_chat_template(model.folder); !chat.empty()) writer.set(kChatTemplateKey, chat);
        return;
    }
    const fs::path folder = model.folder.empty() ? fs::path(request.input).parent_path() : fs::path(model.folder);
    std::string text = "there is no tokenizer: the model will take and give token numbers only";
    for (const char* name : {"meta.pkl", "vocab.json"})
        if (std::error_code error; request.vocab.empty() && fs::exists(folder / name, error)) {
            text += strprintf(", unless %s has its characters", printable((folder / name).string(), 400).c_str());
            break;
        }
    reports.warn({text, Remedy::GiveVocabulary});
    TokenNumbers numbers(static_cast<int32_t>(model.config.vocab), model.end);
    if (request.end_token) numbers.set_end_token(*request.end_token);
    writer.set("tokenizer.ggml.model", std::string("none"));
    writer.set(model.config.arch + ".vocab_size", static_cast<uint32_t>(model.config.vocab));
    if (model.begin >= 0) writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(model.begin));
    if (numbers.end_token() >= 0) writer.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(numbers.end_token()));
}

}  // namespace

void refuse_existing_output(const std::string& output, bool overwrite) {
    std::error_code error;
    if (!overwrite && fs::exists(output, error))
        fail_with(Remedy::ReplaceOutput, "%s: already exists", printable(output).c_str());
}

ConvertResult write_file(const GgufWriter& writer, const ConvertRequest& request, DType type, int64_t elements,
                         const Encoder& encoder, const ConvertReports& reports) {
    AtomicFile file(request.output);
    writer.write(file);
    file.publish();
    for (const std::string& finding : encoder.findings()) reports.warn(finding);
    std::error_code error;
    return {type, elements, fs::file_size(request.output, error)};
}

ConvertResult convert_checkpoint(const ConvertRequest& request, const ConvertReports& reports) {
    const CheckpointSource source = CheckpointSource::open(request.input);
    for (const MappedFile& file : source.files()) refuse_same_file(request.output, file.path());
    refuse_existing_output(request.output, request.overwrite);
    const ImportedModel model = import_model(source, request.hints);
    for (const Note& note : model.notes) reports.warn(note);
    const DType type = request.type.value_or(type_of(model));

    GgufWriter writer;
    write_config(writer, model.config, model.name);
    write_file_type(writer, type);
    write_vocabulary(writer, request, model, reports);
    const auto beyond = architecture_of(model.config).beyond_llama_cpp;
    if (const char* why = beyond != nullptr ? beyond(model.config) : nullptr)
        reports.warn(std::string(why) + ": this file is for nib only");
    const int64_t parameters = parameter_count(model.config);
    Encoder encoder(request.threads, parameters, reports.progress);
    for (const ImportedTensor& tensor : model.tensors) {
        const DType stored = stored_type(type, tensor.name, tensor.shape);
        writer.add(tensor.name, stored, tensor.shape, [&, stored](const GgufWriter::Sink& sink) {
            encoder.encode(tensor.name, stored, tensor.shape, tensor.read, sink);
            for (const SourceTensor& part : tensor.from) source.release(part);
        });
    }
    return write_file(writer, request, type, parameters, encoder, reports);
}

namespace {

// What adapters add to a matrix (N,C): the sum of s b a.
class Delta {
public:
    void add(const GgufTensor& a, const GgufTensor& b, float scale) {
        Term& term = terms_.emplace_back();
        term.rank = a.shape[0];
        const auto unpack = [](const GgufTensor& from, std::vector<float>& to) {
            to.resize(static_cast<size_t>(elements_of(from.shape)));
            quant::unpack(from.type, from.data.data(), static_cast<int64_t>(to.size()), to.data());
        };
        unpack(a, term.a);
        unpack(b, term.b);
        for (float& x : term.b) x *= scale;
        C_ = a.shape[1];
    }
    bool empty() const { return terms_.empty(); }
    // Adds elements `first` ... to `values`.
    void add_to(std::span<float> values, int64_t first) const {
        for (const Term& term : terms_)
            for (size_t i = 0; i < values.size();) {
                const int64_t at = first + static_cast<int64_t>(i), n = at / C_, c = at % C_;
                const size_t count = std::min(values.size() - i, static_cast<size_t>(C_ - c));
                for (int64_t r = 0; r < term.rank; ++r) {
                    const float factor = term.b[static_cast<size_t>(n * term.rank + r)];
                    const float* const row = &term.a[static_cast<size_t>(r * C_ + c)];
                    for (size_t j = 0; j < count; ++j) values[i + j] += factor * row[j];
                }
                i += count;
            }
    }

private:
    struct Term {
        int64_t rank = 0;
        std::vector<float> a, b;  // (r,C), (N,r) times the scale
    };
    int64_t C_ = 0;
    std::vector<Term> terms_;
};

using Deltas = std::map<std::string_view, Delta>;  // by parameter

// Copies a file with its matrices as request.type or, where there is none, as they are.
ConvertResult rewrite(const ConvertRequest& request, const GgufFile& file, const Deltas& deltas,
                      const ConvertReports& reports, const std::string& chat_template = "") {
    refuse_same_file(request.output, request.input);
    refuse_existing_output(request.output, request.overwrite);
    GgufWriter writer;
    for (const GgufEntry& entry : file.metadata()) writer.set(entry.key, entry.value);
    if (request.type) write_file_type(writer, *request.type);
    if (!chat_template.empty()) writer.set(kChatTemplateKey, chat_template);
    int64_t elements = 0, requantized = 0;
    for (const GgufTensor& tensor : file.tensors()) elements += elements_of(tensor.shape);
    Encoder encoder(request.threads, elements, reports.progress);
    for (const GgufTensor& tensor : file.tensors()) {
        const auto found = deltas.find(tensor.name);
        const Delta* const delta = found != deltas.end() ? &found->second : nullptr;
        const DType stored = request.type ? stored_type(*request.type, tensor.name, tensor.shape) : tensor.type;
        if (delta == nullptr && (tensor.shape.size() != 2 || stored == tensor.type || !quant::can_unpack(tensor.type))) {
            writer.add(tensor.name, tensor.type, tensor.shape, tensor.data);
            continue;
        }
        if (!quant::can_pack(stored))
            file.wrong("tensor `" + printable(tensor.name) + "` is " + dtype_info(stored)->name +
                       ", which nib does not write; choose another type: " + weight_type_names());
        requantized += dtype_info(tensor.type)->block_size > 1 && dtype_info(stored)->block_size > 1;
        writer.add(tensor.name, stored, tensor.shape, [&, stored, delta](const GgufWriter::Sink& sink) {
            const auto read = [&](int64_t first, std::span<float> out) {
                quant::unpack(tensor.type, tensor.data.data() + dtype_bytes(tensor.type, first),
                              static_cast<int64_t>(out.size()), out.data());
                if (delta != nullptr) delta->add_to(out, first);
            };
            encoder.encode(tensor.name, stored, tensor.shape, read, sink);
            file.release(tensor);
        });
    }
    if (requantized > 0)
        reports.warn(
            strprintf("%lld matri%s quantized already: what was lost stays lost, and more is added; better "
                      "start from the original",
                      static_cast<long long>(requantized), requantized == 1 ? "x is" : "ces are"));
    const DType type = request.type ? *request.type : file.tensor(kEmbedding).type;
    return write_file(writer, request, type, elements, encoder, reports);
}

}  // namespace

ConvertResult quantize_file(const ConvertRequest& request, const ConvertReports& reports) {
    const GgufFile file = GgufFile::open(request.input);
    check_tensors(read_config(file), file);
    if (!request.type) fail("%s: to which type?", printable(request.input).c_str());
    return rewrite(request, file, {}, reports);
}

ConvertResult merge_adapters(const ConvertRequest& request, std::span<const AdapterChoice> adapters,
                             const ConvertReports& reports) {
    const GgufFile file = GgufFile::open(request.input);
    const ModelConfig config = read_config(file);
    check_tensors(config, file);
    std::vector<AdapterFile> opened;
    opened.reserve(adapters.size());
    Deltas deltas;
    std::string chat_template;  // which one of the adapters has learned
    for (const AdapterChoice& choice : adapters) {
        refuse_same_file(request.output, choice.path);
        const AdapterFile& adapter = opened.emplace_back(GgufFile::open(choice.path));
        adapter.check_base(config, file);
        for (const AdapterFile::Pair& pair : adapter.pairs())
            deltas[file.tensor(pair.parameter).name].add(*pair.a, *pair.b, choice.scale * adapter.scale(pair));
        if (chat_template.empty()) chat_template = adapter.file().get_or<std::string>(kChatTemplateKey, "");
    }
    return rewrite(request, file, deltas, reports, chat_template);
}

}  // namespace nib

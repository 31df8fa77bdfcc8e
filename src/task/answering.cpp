#include "task/answering.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "infer/generate.h"
#include "text/python_text.h"

namespace nib {

void search_answers(SequenceEncoder& encoder, const QuestionText& text, AnswerSearch& search,
                    const std::function<void(int64_t windows)>& progress) {
    constexpr int64_t kAtOnce = 64;
    const Head& head = encoder.model().head("span");
    const int64_t count = std::ssize(text.windows());
    for (int64_t first = 0; first < count; first += kAtOnce) {
        std::vector<TextTokens> windows;
        for (int64_t i = first; i < std::min(first + kAtOnce, count); ++i) {
            MarkedText window = text.read_window(i);
            windows.push_back({std::move(window.ids), std::move(window.types)});
        }
        const std::vector<float> logits = encoder.logits(head.name, windows, SequenceEncoder::places_of(head, windows));
        std::span<const float> left(logits);
        for (size_t i = 0; i < windows.size(); ++i) {
            const size_t numbers = 2 * windows[i].ids.size();
            search.add(first + static_cast<int64_t>(i), left.first(numbers));
            left = left.subspan(numbers);
        }
        if (progress) progress(first + std::ssize(windows));
    }
}

std::string write_answer(Engine& engine, const Tokenizer& tokenizer, std::string_view context, std::string_view question) {
    constexpr int64_t kMostTokens = 32, kSpare = 4;  // tokens where context and question meet may be others
    const std::string asked = "\n\nQ: " + std::string(question) + "\n\nA:";
    const int64_t room =
        engine.context() - kMostTokens - kSpare - std::ssize(tokenizer.encode(asked, {.special = false, .begin = true}));
    if (room < 1) fail("the question leaves no room for its context");
    const PlacedTokens placed = tokenizer.encode_placed(context, {.special = false});
    if (std::ssize(placed.ids) > room) context = context.substr(0, placed.places[static_cast<size_t>(room - 1)].end);
    const std::vector<int32_t> prompt = tokenizer.encode(std::string(context) + asked, {.special = false, .begin = true});
    GenerateOptions options;
    options.sampler.temperature = 0;
    options.overflow = Overflow::Stop;
    options.count = kMostTokens;
    options.stop = {"\n"};
    if (tokenizer.end_token() >= 0) options.ends = {tokenizer.end_token()};
    std::string answer;
    generate(engine, tokenizer, prompt, options, [&](size_t, std::string_view text) { answer += text; });
    return std::string(python_strip(answer));
}

}  // namespace nib

// The page of a view: its numbers, and that no text gets out of them.
#include "infer/attention_page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

// Tokens with texts as given.
class Tokens : public Tokenizer {
public:
    explicit Tokens(std::vector<std::string> texts) : texts_(std::move(texts)) {}
    std::vector<int32_t> encode(std::string_view, const EncodeOptions&) const override { return {}; }
    std::string decode(int32_t id) const override { return texts_.at(static_cast<size_t>(id)); }
    int32_t vocab_size() const override { return static_cast<int32_t>(texts_.size()); }
    const char* kind() const override { return "test"; }

private:
    std::vector<std::string> texts_;
};

const Tokens& hostile() {
    static const Tokens tokens({"</script><script>alert(1)</script>", "\"'\\", "<!--<script", std::string("\0\n\x7F", 3),
                                "\xE2", "狐狸", "", "\xE2\x80\xA8]]>", "@DATA@"});
    return tokens;
}

// As a model with an encoder has them: of the source, of the target, and from this to that.
TextView three_maps() {
    const std::vector<int32_t> source = {0, 1, 2}, target = {3, 4};
    TextView view;
    view.maps.emplace_back(AttentionMap{"encoder", source, source, 1, 2, std::vector<float>(18, 1 / 3.0f)});
    view.maps.emplace_back(AttentionMap{"decoder", target, target, 2, 1, {}});
    view.maps.back().weights = {1, 0, 0.25f, 0.75f, 1, 0, 0.5f, 0.5f};
    view.maps.emplace_back(AttentionMap{"cross", target, source, 1, 1, {}});
    view.maps.back().weights = {0.1f, 0.2f, 0.7f, 0, 1, 0};
    LayerPredictions& p = view.predictions;
    p.head = "lm", p.ids = target, p.layers = 2, p.top = 2;
    const double probabilities[] = {0.9, 0.1, 0.5, 0.5, 1, 0, 0.6, 0.4};
    const size_t ids[] = {5, 6, 7, 8, 5, 99, 0, 1};
    for (size_t i = 0; i < 8; ++i) p.best.push_back(Ranked{ids[i], probabilities[i]});
    return view;
}

std::string data_of(const std::string& page) {
    const std::string begin = "<script type=\"application/json\" id=\"data\">";
    const size_t at = page.find(begin) + begin.size();
    return page.substr(at, page.find("</script>", at) - at);
}

TEST(AttentionPage, HoldsTheNumbers) {
    const std::string page = attention_page("model.gguf", three_maps(), hostile());
    EXPECT_TRUE(page.starts_with("<!doctype html>"));
    EXPECT_TRUE(page.ends_with("</html>\n"));
    EXPECT_EQ(page.find("://"), std::string::npos) << "needs nothing from outside";
    const auto json = nlohmann::json::parse(data_of(page));
    EXPECT_EQ(json["title"], "model.gguf");
    ASSERT_EQ(json["maps"].size(), 3u);
    EXPECT_EQ(json["maps"][1]["name"], "decoder");
    EXPECT_EQ(json["maps"][1]["queries"], nlohmann::json({3, 4}));
    EXPECT_EQ(json["maps"][2]["keys"], nlohmann::json({0, 1, 2}));
    // Two digits of base 64 each: 4095 is "//", and 0.25, 0.75, 0.5 of it are 1024, 3071 and 2048.
    EXPECT_EQ(json["maps"][1]["layers"], nlohmann::json({"//AAQAv/", "//AAgAgA"}));
    EXPECT_EQ(json["maps"][0]["layers"][0].get<std::string>().size(), 36u);
    EXPECT_EQ(json["predictions"]["head"], "lm");
    EXPECT_EQ(json["predictions"]["layers"][0], nlohmann::json({5, 900, 6, 100, 7, 500, 8, 500}));
}

TEST(AttentionPage, WeightsBeyondOneStayWithinTwoDigits) {
    TextView view = three_maps();
    view.maps[1].weights[0] = 1.0000002f, view.maps[1].weights[1] = -1e-9f;
    const auto json = nlohmann::json::parse(data_of(attention_page("m", view, hostile())));
    EXPECT_EQ(json["maps"][1]["layers"][0], "//AAQAv/");
}

TEST(AttentionPage, TextsStayTexts) {
    const std::string page = attention_page("<b>&\xFF</script>", three_maps(), hostile());
    const std::string data = data_of(page);
    EXPECT_EQ(data.find('<'), std::string::npos);
    for (const char c : data) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << "control characters are escaped";
    const auto json = nlohmann::json::parse(data);
    EXPECT_EQ(json["title"], "<b>&\\xFF</script>");
    const auto& tokens = json["tokens"];
    for (const int id : {0, 1, 2, 3, 5, 7, 8}) EXPECT_EQ(tokens[std::to_string(id)], hostile().decode(id));
    EXPECT_EQ(tokens["4"], "\\xE2") << "half a character";
    EXPECT_EQ(tokens["6"], "#6") << "a token without a text";
    EXPECT_EQ(tokens["99"], "#99") << "an id without a token";
}

TEST(AttentionPage, LeavesOutPredictionsThatThereAreNot) {
    TextView view = three_maps();
    view.predictions = {};
    EXPECT_FALSE(nlohmann::json::parse(data_of(attention_page("m", view, hostile()))).contains("predictions"));
}

}  // namespace
}  // namespace nib

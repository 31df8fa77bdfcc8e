#include "text/jinja.h"

#include <ctime>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "text/jinja_syntax.h"
#include "text/jinja_values.h"

namespace nib {
namespace jinja {
namespace {

constexpr size_t kMostSteps = 200'000, kMostText = size_t{1} << 20, kLongest = size_t{1} << 20;

class Renderer {
public:
    explicit Renderer(const json& variables) : scopes_{variables.get<Scope>()} {}

    std::string run(const Node& root) {
        execute(root);
        return std::move(out_);
    }

private:
    using Scope = std::map<std::string, json>;
    enum class Flow { Next, Break, Continue };

    void spend(size_t steps) {
        spent_ += steps;
        if (spent_ > kMostSteps) fail("it takes too long");
    }

    // What copying a value costs: a list of lists of lists grows fast.
    static size_t cost(const json& value) {
        size_t steps = 1;
        if (value.is_string()) return steps + value.get_ref<const std::string&>().size() / 64;
        if (value.is_structured())
            for (const json& element : value) steps += cost(element);
        return steps;
    }

    // ---- statements ------------------------------------------------------------------------------------------------

    Flow execute(const Node& node) {
        spend(1);
        switch (node.kind) {
            case Kind::Block:
                for (const Node& part : node.parts)
                    if (const Flow flow = execute(part); flow != Flow::Next) return flow;
                break;
            case Kind::Text: write(node.text); break;
            case Kind::Output: write(to_text(evaluate(node.parts[0]))); break;
            case Kind::If: return execute_if(node);
            case Kind::For: return execute_for(node);
            case Kind::Set: {
                json value = evaluate(node.parts[0]);
                scopes_.back()[node.names[0]] = std::move(value);
                break;
            }
            case Kind::SetAttribute: {
                json value = evaluate(node.parts[0]);
                json* const target = find(node.names[0]);
                if (target == nullptr || !target->is_object()) fail("\"%s\" is no namespace", node.names[0].c_str());
                (*target)[node.text] = std::move(value);
                break;
            }
            case Kind::Break: return Flow::Break;
            case Kind::Continue: return Flow::Continue;
            default: CHECK(!"a statement");
        }
        return Flow::Next;
    }

    void write(const std::string& text) {
        if (out_.size() + text.size() > kMostText) fail("it writes too much");
        out_ += text;
    }

    Flow execute_if(const Node& node) {
        for (size_t i = 0; i + 1 < node.parts.size(); i += 2)
            if (is_true(evaluate(node.parts[i]))) return execute(node.parts[i + 1]);
        return node.parts.size() % 2 == 1 ? execute(node.parts.back()) : Flow::Next;
    }

    void bind(const Node& node, const json& item) {
        if (node.names.size() == 1) {
            scopes_.back()[node.names[0]] = item;
            return;
        }
        if (!item.is_array() || item.size() != node.names.size()) fail("a loop over pairs has others");
        for (size_t i = 0; i < item.size(); ++i) scopes_.back()[node.names[i]] = item[i];
    }

    Flow execute_for(const Node& node) {
        const json all = elements(evaluate(node.parts[0]));
        std::vector<json> items;
        for (const json& item : all) {
            scopes_.emplace_back();
            bind(node, item);
            if (node.parts[1].kind == Kind::Nothing || is_true(evaluate(node.parts[1]))) items.push_back(item);
            scopes_.pop_back();
        }
        Flow flow = Flow::Next;
        for (size_t i = 0; i < items.size() && flow != Flow::Break; ++i) {
            scopes_.emplace_back();
            bind(node, items[i]);
            json loop = {
                {"index0",    i                    },
                {"index",     i + 1                },
                {"first",     i == 0               },
                {"last",      i + 1 == items.size()},
                {"length",    items.size()         },
                {"revindex",  items.size() - i     },
                {"revindex0", items.size() - i - 1 }
            };
            if (i > 0) loop["previtem"] = items[i - 1];
            if (i + 1 < items.size()) loop["nextitem"] = items[i + 1];
            scopes_.back()["loop"] = std::move(loop);
            flow = execute(node.parts[2]);
            scopes_.pop_back();
        }
        return items.empty() && node.parts[3].kind != Kind::Nothing ? execute(node.parts[3]) : Flow::Next;
    }

    // ---- expressions -----------------------------------------------------------------------------------------------

    json* find(const std::string& name) {
        for (size_t i = scopes_.size(); i-- > 0;)
            if (const auto found = scopes_[i].find(name); found != scopes_[i].end()) return &found->second;
        return nullptr;
    }

    json evaluate(const Node& node) {
        json value = evaluated(node);
        spend(cost(value));
        return value;
    }

    json evaluated(const Node& node) {
        switch (node.kind) {
            case Kind::Literal: return node.value;
            case Kind::Name: {
                if (const json* const value = find(node.text)) return *value;
                return is_function(node.text) ? json{{"function", node.text}} : undefined();
            }
            case Kind::Attribute: return member(evaluate(node.parts[0]), node.text);
            case Kind::Item: return item(evaluate(node.parts[0]), evaluate(node.parts[1]));
            case Kind::Slice: return slice(node);
            case Kind::Call: return call(node);
            case Kind::Filter: return filter(node);
            case Kind::Test: return test(node);
            case Kind::Not: return !is_true(evaluate(node.parts[0]));
            case Kind::Negative: return binary("-", 0, evaluate(node.parts[0]));
            case Kind::And: {
                json left = evaluate(node.parts[0]);
                return is_true(left) ? evaluate(node.parts[1]) : left;
            }
            case Kind::Or: {
                json left = evaluate(node.parts[0]);
                return is_true(left) ? left : evaluate(node.parts[1]);
            }
            case Kind::Binary: return binary(node.text, evaluate(node.parts[0]), evaluate(node.parts[1]));
            case Kind::Conditional:
                if (is_true(evaluate(node.parts[0]))) return evaluate(node.parts[1]);
                return evaluate(node.parts[2]);
            case Kind::List: {
                json list = json::array();
                for (const Node& part : node.parts) list.push_back(evaluate(part));
                return list;
            }
            case Kind::Dict: {
                json dict = json::object();
                for (size_t i = 0; i < node.parts.size(); i += 2)
                    dict[to_string(evaluate(node.parts[i]))] = evaluate(node.parts[i + 1]);
                return dict;
            }
            case Kind::Nothing: return undefined();
            default: fail("it uses \"%s\" where Jinja does not expect it", printable(node.text, 40).c_str());
        }
    }

    json slice(const Node& node) {
        std::optional<int64_t> bounds[3];
        for (size_t i = 0; i < 3; ++i)
            if (node.parts[i + 1].kind != Kind::Nothing) bounds[i] = to_integer(evaluate(node.parts[i + 1]));
        return sliced(evaluate(node.parts[0]), bounds[0], bounds[1], bounds[2].value_or(1));
    }

    // The arguments that follow the first part.
    std::vector<json> arguments(const Node& node) {
        std::vector<json> out;
        for (size_t i = 1; i < node.parts.size(); ++i) out.push_back(evaluate(node.parts[i]));
        return out;
    }

    static bool is_function(const std::string& name) {
        return name == "raise_exception" || name == "strftime_now" || name == "namespace" || name == "range";
    }

    json call(const Node& node) {
        const Node& what = node.parts[0];
        if (what.kind == Kind::Attribute) return method(evaluate(what.parts[0]), what.text, arguments(node));
        const bool free = what.kind == Kind::Name && is_function(what.text) && find(what.text) == nullptr;
        if (!free) fail("it calls \"%s\"", printable(what.text, 40).c_str());
        if (what.text == "namespace") {
            json out = json::object();
            for (size_t i = 1; i < node.parts.size(); ++i) {
                if (node.parts[i].kind != Kind::Keyword) fail("it calls namespace() without names");
                out[node.parts[i].text] = evaluate(node.parts[i].parts[0]);
            }
            return out;
        }
        const std::vector<json> values = arguments(node);
        if (what.text == "range") return range(values);
        if (values.size() != 1) fail("it calls %s() with %zu arguments", what.text.c_str(), values.size());
        const std::string text = to_string(values[0]);
        if (what.text == "raise_exception") throw JinjaRaised(text);
        return now(text);
    }

    static json range(const std::vector<json>& values) {
        if (values.empty() || values.size() > 2) fail("it calls range() with %zu arguments", values.size());
        const int64_t begin = values.size() == 2 ? to_integer(values[0]) : 0, end = to_integer(values.back());
        if (end > begin && end - begin > 10'000) fail("it takes too long");
        json out = json::array();
        for (int64_t i = begin; i < end; ++i) out.push_back(i);
        return out;
    }

    static json now(const std::string& format) {
        const std::time_t time = std::time(nullptr);
        std::tm local{};
        localtime_r(&time, &local);
        char text[256];
        return std::string(text, std::strftime(text, sizeof text, format.c_str(), &local));
    }

    json filter(const Node& node) {
        const json value = evaluate(node.parts[0]);
        const std::vector<json> values = arguments(node);
        if ((node.text == "selectattr" || node.text == "rejectattr") && !values.empty()) {
            json out = json::array();
            for (const json& element : elements(value)) {
                const json found = member(element, to_string(values[0]));
                const std::string name = values.size() > 1 ? to_string(values[1]) : "";
                const bool holds = name.empty() ? is_true(found) : passes(found, name, {values.begin() + 2, values.end()});
                if (holds == (node.text == "selectattr")) out.push_back(element);
            }
            return out;
        }
        return filtered(value, node.text, values);
    }

    json test(const Node& node) { return passes(evaluate(node.parts[0]), node.text, arguments(node)); }

    std::vector<Scope> scopes_;
    std::string out_;
    size_t spent_ = 0;
};

}  // namespace
}  // namespace jinja

JinjaTemplate::JinjaTemplate(std::string_view text) {
    if (text.size() > jinja::kLongest) fail("it has %s", human_bytes(static_cast<double>(text.size())).c_str());
    root_ = std::make_shared<const jinja::Node>(jinja::parse(text));
}

std::string JinjaTemplate::render(const nlohmann::json& variables) const { return jinja::Renderer(variables).run(*root_); }

}  // namespace nib

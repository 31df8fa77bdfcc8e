#include "text/jinja.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

#include "text/jinja_syntax.h"

namespace nib {
namespace jinja {
namespace {

constexpr size_t kMostSteps = 200'000, kLongestText = size_t{64} << 10, kMostText = size_t{1} << 20,
                 kLongest = size_t{1} << 20;
constexpr int kDeepest = 500;

class Renderer {
public:
    explicit Renderer(const JinjaTemplate::Variables& variables) : scopes_{variables} {}

    std::string run(const Node& root) {
        execute(root);
        return std::move(out_);
    }

private:
    using Scope = JinjaTemplate::Variables;
    enum class Flow { Next, Break, Continue };

    void spend(size_t cost) { jinja::spend(steps_, cost); }

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
                Value value = evaluate(node.parts[0]);
                scopes_.back()[node.names[0]] = std::move(value);
                break;
            }
            case Kind::SetAttribute: set_attribute(node); break;
            case Kind::Break: return Flow::Break;
            case Kind::Continue: return Flow::Continue;
            default: CHECK(!"a statement");
        }
        return Flow::Next;
    }

    void set_attribute(const Node& node) {
        const Value value = evaluate(node.parts[0]);
        Value* const target = find(node.names[0]);
        if (target == nullptr) fail("\"%s\" is no namespace", printable(node.names[0], 40).c_str());
        Value::Object members = target->object();
        spend(members.size());
        const auto same = [&](const auto& member) { return member.first == node.text; };
        const auto found = std::find_if(members.begin(), members.end(), same);
        if (found != members.end())
            found->second = value;
        else
            members.emplace_back(node.text, value);
        *target = std::move(members);
    }

    void write(const std::string& text) {
        if (out_.size() + text.size() > kMostText) fail("it writes too much");
        out_ += text;
    }

    Flow execute_if(const Node& node) {
        for (size_t i = 0; i + 1 < node.parts.size(); i += 2)
            if (evaluate(node.parts[i]).is_true()) return execute(node.parts[i + 1]);
        return node.parts.size() % 2 == 1 ? execute(node.parts.back()) : Flow::Next;
    }

    void bind(const Node& node, const Value& item) {
        Scope& scope = scopes_.back();
        if (node.names.size() == 1) {
            scope[node.names[0]] = item;
            return;
        }
        const Value::List& parts = item.list();
        if (parts.size() != node.names.size()) fail("a loop over pairs has others");
        for (size_t i = 0; i < parts.size(); ++i) scope[node.names[i]] = parts[i];
    }

    // What a loop goes through, but for what its condition leaves out.
    Value::List loop_items(const Node& node) {
        Value::List out;
        for (const Value& item : elements(evaluate(node.parts[0]))) {
            scopes_.emplace_back();
            bind(node, item);
            if (node.parts[1].kind == Kind::Nothing || evaluate(node.parts[1]).is_true()) out.push_back(item);
            scopes_.pop_back();
        }
        return out;
    }

    static Value loop_state(const Value::List& items, size_t i) {
        const auto count = [](size_t number) { return Value::integer(static_cast<int64_t>(number)); };
        const size_t left = items.size() - i;
        return Value::Object{
            {"index0",    count(i)                         },
            {"index",     count(i + 1)                     },
            {"first",     Value::boolean(i == 0)           },
            {"last",      Value::boolean(left == 1)        },
            {"length",    count(items.size())              },
            {"revindex",  count(left)                      },
            {"revindex0", count(left - 1)                  },
            {"previtem",  i > 0 ? items[i - 1] : Value()   },
            {"nextitem",  left > 1 ? items[i + 1] : Value()}
        };
    }

    Flow execute_for(const Node& node) {
        const Value::List items = loop_items(node);
        Flow flow = Flow::Next;
        for (size_t i = 0; i < items.size() && flow != Flow::Break; ++i) {
            scopes_.emplace_back();
            bind(node, items[i]);
            scopes_.back()["loop"] = loop_state(items, i);
            flow = execute(node.parts[2]);
            scopes_.pop_back();
        }
        return items.empty() && node.parts[3].kind != Kind::Nothing ? execute(node.parts[3]) : Flow::Next;
    }

    // ---- expressions -----------------------------------------------------------------------------------------------

    Value* find(const std::string& name) {
        for (size_t i = scopes_.size(); i-- > 0;)
            if (const auto found = scopes_[i].find(name); found != scopes_[i].end()) return &found->second;
        return nullptr;
    }

    Value evaluate(const Node& node) {
        if (depth_ == kDeepest) fail("it is nested too deeply");
        ++depth_;  // an Error ends it all, so that only the way back takes one off
        Value value = evaluated(node);
        --depth_;
        const bool text = value.is(Value::Kind::Text);
        if (text && value.size() > kLongestText) fail("its texts are too long");
        spend(1 + (text ? value.size() / 64 : value.size()));
        return value;
    }

    Value evaluated(const Node& node) {
        switch (node.kind) {
            case Kind::Literal: return node.value;
            case Kind::Name: {
                if (const Value* const value = find(node.text)) return *value;
                return is_function(node.text) ? Value("function") : Value();
            }
            case Kind::Attribute: return member(evaluate(node.parts[0]), node.text);
            case Kind::Item: return item(evaluate(node.parts[0]), evaluate(node.parts[1]));
            case Kind::Slice: return slice(node);
            case Kind::Call: return call(node);
            case Kind::Filter: return filter(node);
            case Kind::Test: return test(node);
            case Kind::Not: return Value::boolean(!evaluate(node.parts[0]).is_true());
            case Kind::Negative: return Value::integer(-evaluate(node.parts[0]).number());
            case Kind::And: {
                Value left = evaluate(node.parts[0]);
                return left.is_true() ? evaluate(node.parts[1]) : left;
            }
            case Kind::Or: {
                Value left = evaluate(node.parts[0]);
                return left.is_true() ? left : evaluate(node.parts[1]);
            }
            case Kind::Binary: return binary(node.text, evaluate(node.parts[0]), evaluate(node.parts[1]), steps_);
            case Kind::Conditional: return evaluate(node.parts[evaluate(node.parts[0]).is_true() ? 1 : 2]);
            case Kind::List: {
                Value::List list;
                for (const Node& part : node.parts) list.push_back(evaluate(part));
                return list;
            }
            case Kind::Dict: return dict(node);
            case Kind::Nothing: return {};
            default: fail("it uses \"%s\" where Jinja does not expect it", printable(node.text, 40).c_str());
        }
    }

    Value dict(const Node& node) {
        Value::Object out;
        for (size_t i = 0; i < node.parts.size(); i += 2)
            out.emplace_back(evaluate(node.parts[i]).text(), evaluate(node.parts[i + 1]));
        return out;
    }

    Value slice(const Node& node) {
        std::optional<int64_t> bounds[3];
        for (size_t i = 0; i < 3; ++i)
            if (node.parts[i + 1].kind != Kind::Nothing) bounds[i] = evaluate(node.parts[i + 1]).number();
        return sliced(evaluate(node.parts[0]), bounds[0], bounds[1], bounds[2].value_or(1));
    }

    // The arguments that follow the first part.
    Value::List arguments(const Node& node) {
        Value::List out;
        for (size_t i = 1; i < node.parts.size(); ++i) out.push_back(evaluate(node.parts[i]));
        return out;
    }

    static bool is_function(const std::string& name) {
        return name == "raise_exception" || name == "strftime_now" || name == "namespace" || name == "range";
    }

    Value call(const Node& node) {
        const Node& what = node.parts[0];
        if (what.kind == Kind::Attribute) return method(evaluate(what.parts[0]), what.text, arguments(node));
        const bool free = what.kind == Kind::Name && is_function(what.text) && find(what.text) == nullptr;
        if (!free) fail("it calls \"%s\"", printable(what.text, 40).c_str());
        if (what.text == "namespace") return make_namespace(node);
        const Value::List values = arguments(node);
        if (what.text == "range") return range(values);
        if (values.size() != 1) fail("it calls %s() with %zu arguments", what.text.c_str(), values.size());
        if (what.text == "raise_exception") throw JinjaRaised(values[0].text());
        return now(values[0].text());
    }

    Value make_namespace(const Node& node) {
        Value::Object out;
        for (size_t i = 1; i < node.parts.size(); ++i) {
            if (node.parts[i].kind != Kind::Keyword) fail("it calls namespace() without names");
            out.emplace_back(node.parts[i].text, evaluate(node.parts[i].parts[0]));
        }
        return out;
    }

    static Value range(const Value::List& values) {
        if (values.empty() || values.size() > 2) fail("it calls range() with %zu arguments", values.size());
        const int64_t begin = values.size() == 2 ? values[0].number() : 0, end = values.back().number();
        if (end > begin && end - begin > 10'000) fail("it takes too long");
        Value::List out;
        for (int64_t i = begin; i < end; ++i) out.push_back(Value::integer(i));
        return out;
    }

    static Value now(const std::string& format) {
        const std::time_t time = std::time(nullptr);
        std::tm local{};
        localtime_r(&time, &local);
        char text[256];
        return std::string(text, std::strftime(text, sizeof text, format.c_str(), &local));
    }

    Value filter(const Node& node) {
        const Value value = evaluate(node.parts[0]);
        const Value::List values = arguments(node);
        if ((node.text != "selectattr" && node.text != "rejectattr") || values.empty())
            return filtered(value, node.text, values);
        Value::List out;
        for (const Value& element : elements(value)) {
            const Value found = member(element, values[0].text());
            const bool holds = values.size() > 1
                                   ? passes(found, values[1].text(), {values.begin() + 2, values.end()}, steps_)
                                   : found.is_true();
            if (holds == (node.text == "selectattr")) out.push_back(element);
        }
        return out;
    }

    Value test(const Node& node) {
        const Value value = evaluate(node.parts[0]);
        return Value::boolean(passes(value, node.text, arguments(node), steps_));
    }

    std::vector<Scope> scopes_;
    std::string out_;
    size_t steps_ = kMostSteps;  // still to be taken
    int depth_ = 0;              // of the expression
};

}  // namespace
}  // namespace jinja

JinjaTemplate::JinjaTemplate(std::string_view text) {
    if (text.size() > jinja::kLongest) fail("it has %s", human_bytes(static_cast<double>(text.size())).c_str());
    root_ = std::make_shared<const jinja::Node>(jinja::parse(text));
}

std::string JinjaTemplate::render(const Variables& variables) const { return jinja::Renderer(variables).run(*root_); }

}  // namespace nib

#include <charconv>
#include <initializer_list>
#include <utility>

#include "core/error.h"
#include "text/jinja_lexer.h"
#include "text/jinja_syntax.h"

namespace nib::jinja {
namespace {

using Type = Token::Type;

class Parser {
public:
    explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    Node run() {
        Node root = block({});
        if (peek().type != Type::End) unexpected();
        return root;
    }

private:
    // Nesting is bounded, so that reading a template does not run out of stack.
    struct Deeper {
        explicit Deeper(int& depth) : depth_(depth) {
            if (++depth_ > 200) fail("it is nested too deeply");
        }
        ~Deeper() { --depth_; }
        Deeper(const Deeper&) = delete;
        Deeper& operator=(const Deeper&) = delete;
        int& depth_;
    };

    const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
    bool is(Type type, std::string_view text, size_t ahead = 0) const {
        return peek(ahead).type == type && peek(ahead).text == text;
    }
    bool is_symbol(std::string_view text) const { return is(Type::Symbol, text); }
    bool take(Type type, std::string_view text) {
        const bool found = is(type, text);
        at_ += found;
        return found;
    }
    bool take_symbol(std::string_view text) { return take(Type::Symbol, text); }
    bool take_name(std::string_view text) { return take(Type::Name, text); }
    void expect(Type type, std::string_view text = "") {
        if (!take(type, text)) unexpected();
    }
    std::string name() {
        if (peek().type != Type::Name) unexpected();
        return tokens_[at_++].text;
    }
    [[noreturn]] void unexpected() const {
        fail("a tag is not what Jinja expects at \"%s\"", printable(peek().text, 40).c_str());
    }

    // A chain of operators nests the tree to the left, and each of its parts may have chains: so all links count together.
    void count_link() {
        if (++links_ > 3000) fail("it is nested too deeply");
    }
    // A node of parts that are moved into it: an initializer list would copy all that is below them.
    template <class... Parts>
    static Node made(Kind kind, std::string text, Parts... parts) {
        Node out{.kind = kind, .text = std::move(text)};
        out.parts.reserve(sizeof...(parts));
        (out.parts.push_back(std::move(parts)), ...);
        return out;
    }

    // ---- statements ------------------------------------------------------------------------------------------------

    // Up to one of the tags that `ends` names, whose name is the next token then.
    Node block(std::initializer_list<std::string_view> ends) {
        const Deeper deeper(depth_);
        Node out{.kind = Kind::Block};
        for (;;) {
            const Token& token = peek();
            if (token.type == Type::Text) {
                out.parts.push_back({.kind = Kind::Text, .text = tokens_[at_++].text});
            } else if (token.type == Type::OutputBegin) {
                ++at_;
                out.parts.push_back({.kind = Kind::Output, .parts = {expression()}});
                expect(Type::OutputEnd);
            } else if (token.type == Type::BlockBegin) {
                ++at_;
                for (const std::string_view end : ends)
                    if (is(Type::Name, end)) return out;
                out.parts.push_back(statement());
            } else {
                if (ends.size() > 0) fail("a block does not end");
                return out;
            }
        }
    }

    void end_tag(std::string_view word) {
        expect(Type::Name, word);
        expect(Type::BlockEnd);
    }

    Node statement() {
        const std::string word = name();
        if (word == "if") return if_statement();
        if (word == "for") return for_statement();
        if (word == "set") return set_statement();
        if (word == "break" || word == "continue") {
            expect(Type::BlockEnd);
            return {.kind = word == "break" ? Kind::Break : Kind::Continue};
        }
        if (word == "generation") {  // marks what the assistant says
            expect(Type::BlockEnd);
            Node body = block({"endgeneration"});
            end_tag("endgeneration");
            return body;
        }
        fail("it uses \"%s\"", printable(word, 40).c_str());
    }

    Node if_statement() {
        Node out{.kind = Kind::If};
        do {
            out.parts.push_back(expression());
            expect(Type::BlockEnd);
            out.parts.push_back(block({"elif", "else", "endif"}));
        } while (take_name("elif"));
        if (take_name("else")) {
            expect(Type::BlockEnd);
            out.parts.push_back(block({"endif"}));
        }
        end_tag("endif");
        return out;
    }

    Node for_statement() {
        Node out{.kind = Kind::For};
        do out.names.push_back(name());
        while (take_symbol(","));
        expect(Type::Name, "in");
        out.parts.push_back(or_expression());
        out.parts.push_back(take_name("if") ? expression() : Node{});
        expect(Type::BlockEnd);
        out.parts.push_back(block({"else", "endfor"}));
        if (take_name("else")) {
            expect(Type::BlockEnd);
            out.parts.push_back(block({"endfor"}));
        } else {
            out.parts.push_back({});
        }
        end_tag("endfor");
        return out;
    }

    Node set_statement() {
        Node out{.kind = Kind::Set, .names = {name()}};
        if (take_symbol(".")) {
            out.kind = Kind::SetAttribute;
            out.text = name();
        }
        expect(Type::Symbol, "=");
        out.parts.push_back(expression());
        expect(Type::BlockEnd);
        return out;
    }

    // ---- expressions, those that bind least first --------------------------------------------------------------------

    Node expression() {
        const Deeper deeper(depth_);
        Node value = or_expression();
        for (; take_name("if"); count_link()) {
            Node condition = or_expression();
            Node other = take_name("else") ? expression() : Node{};
            value = made(Kind::Conditional, "", std::move(condition), std::move(value), std::move(other));
        }
        return value;
    }

    Node or_expression() {
        Node left = and_expression();
        while (take_name("or")) {
            count_link();
            Node right = and_expression();
            left = made(Kind::Or, "", std::move(left), std::move(right));
        }
        return left;
    }

    Node and_expression() {
        Node left = not_expression();
        while (take_name("and")) {
            count_link();
            Node right = not_expression();
            left = made(Kind::And, "", std::move(left), std::move(right));
        }
        return left;
    }

    Node not_expression() {
        const Deeper deeper(depth_);
        if (take_name("not")) return {.kind = Kind::Not, .parts = {not_expression()}};
        return comparison();
    }

    Node comparison() {
        Node left = operation(0);
        for (;; count_link()) {
            std::string what;
            for (const char* const symbol : {"==", "!=", "<=", ">=", "<", ">"})
                if (is_symbol(symbol)) what = symbol;
            if (is(Type::Name, "in")) what = "in";
            if (is(Type::Name, "not") && is(Type::Name, "in", 1)) {
                ++at_;
                what = "not in";
            }
            if (what.empty()) return left;
            ++at_;
            Node right = operation(0);
            left = made(Kind::Binary, what, std::move(left), std::move(right));
        }
    }

    // Sums, then `~`, then products.
    Node operation(size_t level) {
        static constexpr std::string_view kLevels[] = {"+-", "~", "*/%"};  // "//" begins with "/"
        if (level == std::size(kLevels)) return unary();
        Node left = operation(level + 1);
        for (;; count_link()) {
            const std::string what = peek().text;
            if (peek().type != Type::Symbol || what == "**" || kLevels[level].find(what[0]) == std::string_view::npos)
                return left;
            ++at_;
            Node right = operation(level + 1);
            left = made(Kind::Binary, what, std::move(left), std::move(right));
        }
    }

    Node unary() {
        const Deeper deeper(depth_);
        if (take_symbol("-")) return {.kind = Kind::Negative, .parts = {unary()}};
        return suffixes(primary());
    }

    Node primary() {
        const Token& token = peek();
        ++at_;
        switch (token.type) {
            case Type::String: {
                std::string text = token.text;
                while (peek().type == Type::String) text += tokens_[at_++].text;
                return {.kind = Kind::Literal, .value = std::move(text)};
            }
            case Type::Integer: return number(token.text);
            case Type::Name: return name_or_constant(token.text);
            case Type::Symbol:
                if (token.text == "(") {
                    Node inner = expression();
                    expect(Type::Symbol, ")");
                    return inner;
                }
                if (token.text == "[") return {.kind = Kind::List, .parts = arguments("]")};
                if (token.text == "{") return dict();
                break;
            default: break;
        }
        --at_;
        unexpected();
    }

    static Node name_or_constant(const std::string& word) {
        const bool yes = word == "true" || word == "True";
        if (yes || word == "false" || word == "False") return {.kind = Kind::Literal, .value = Value::boolean(yes)};
        if (word == "none" || word == "None") return {.kind = Kind::Literal, .value = Value::none()};
        return {.kind = Kind::Name, .text = word};
    }

    static Node number(const std::string& text) {
        int64_t value = 0;
        if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc())
            fail("the number %s is too large", printable(text, 40).c_str());
        return {.kind = Kind::Literal, .value = Value::integer(value)};
    }

    Node dict() {
        Node out{.kind = Kind::Dict};
        while (!take_symbol("}")) {
            out.parts.push_back(expression());
            expect(Type::Symbol, ":");
            out.parts.push_back(expression());
            if (!is_symbol("}")) expect(Type::Symbol, ",");
        }
        return out;
    }

    std::vector<Node> arguments(std::string_view end) {
        std::vector<Node> out;
        while (!take_symbol(end)) {
            if (peek().type == Type::Name && is(Type::Symbol, "=", 1)) {
                std::string keyword = name();
                ++at_;
                out.push_back({.kind = Kind::Keyword, .text = std::move(keyword), .parts = {expression()}});
            } else {
                out.push_back(expression());
            }
            if (!is_symbol(end)) expect(Type::Symbol, ",");
        }
        return out;
    }

    Node suffixes(Node value) {
        for (;; count_link()) {
            if (take_symbol(".")) {
                value = made(Kind::Attribute, name(), std::move(value));
            } else if (take_symbol("[")) {
                value = subscript(std::move(value));
            } else if (take_symbol("(")) {
                value = applied(Kind::Call, "", std::move(value), arguments(")"));
            } else if (take_symbol("|")) {
                std::string filter = name();
                value = applied(Kind::Filter, std::move(filter), std::move(value),
                                take_symbol("(") ? arguments(")") : std::vector<Node>());
            } else if (take_name("is")) {
                value = test(std::move(value));
            } else {
                return value;
            }
        }
    }

    static Node applied(Kind kind, std::string text, Node to, std::vector<Node> arguments) {
        arguments.insert(arguments.begin(), std::move(to));
        return {.kind = kind, .text = std::move(text), .parts = std::move(arguments)};
    }

    Node subscript(Node value) {
        Node out = made(Kind::Slice, "", std::move(value));
        const auto part = [&] { return is_symbol(":") || is_symbol("]") ? Node{} : expression(); };
        out.parts.push_back(part());
        if (take_symbol("]")) {
            out.kind = Kind::Item;
            if (out.parts[1].kind == Kind::Nothing) unexpected();
            return out;
        }
        while (take_symbol(":")) out.parts.push_back(part());
        expect(Type::Symbol, "]");
        if (out.parts.size() > 4) unexpected();
        out.parts.resize(4);
        return out;
    }

    // "is NAME", with or without arguments, which may be one without parentheses.
    Node test(Node value) {
        const bool negated = take_name("not");
        std::string what = name();
        std::vector<Node> rest;
        if (take_symbol("("))
            rest = arguments(")");
        else if (what == "equalto" || what == "eq")
            rest.push_back(primary());
        Node out = applied(Kind::Test, std::move(what), std::move(value), std::move(rest));
        return negated ? made(Kind::Not, "", std::move(out)) : std::move(out);
    }

    const std::vector<Token> tokens_;
    size_t at_ = 0;
    int depth_ = 0, links_ = 0;
};

}  // namespace

Node parse(std::string_view text) { return Parser(tokenize(text)).run(); }

}  // namespace nib::jinja

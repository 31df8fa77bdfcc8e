// The part of Jinja that chat templates use. What each case gives is what Jinja 3.1 gives in transformers' environment.
#include "text/jinja.h"

#include "test_errors.h"

namespace nib::test {
namespace {

using jinja::Value;

std::string render(const std::string& text, const JinjaTemplate::Variables& variables = {}) {
    return JinjaTemplate(text).render(variables);
}

Value message(const char* role, const char* content) {
    return Value::Object{
        {"role",    role   },
        {"content", content}
    };
}

const JinjaTemplate::Variables kMessages = {
    {"messages", Value::List{message("system", "S"), message("user", " U "), message("assistant", "A")}}
};

TEST(Jinja, WhiteSpace) {
    EXPECT_EQ(render("a\n  {% if true %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
    EXPECT_EQ(render("  {% if true %}x{% endif %}"), "x");
    EXPECT_EQ(render("a {%- if true -%} b {%- endif -%} c"), "abc");
    EXPECT_EQ(render("a\n  {{- 'b' -}}  \n c"), "abc");
    EXPECT_EQ(render("a\n  {{ 'b' }}\nc"), "a\n  b\nc");
    EXPECT_EQ(render("a\n  {%+ if true +%}\nb{% endif %}"), "a\n  \nb");
    EXPECT_EQ(render("a {# no #}\n b {#- no -#} \n c"), "a  bc");
    EXPECT_EQ(render("x {% if true %} y {% endif %} z"), "x  y  z");
    EXPECT_EQ(render("a\r\nb\rc\n\n"), "a\nb\nc\n");
}

TEST(Jinja, Expressions) {
    EXPECT_EQ(render("{{ 'a' + \"b\" }}{{ 'c' 'd' }}{{ '\\n\\t\\'\\x41\\u4f60\\q' }}"), "abcd\n\t'A你\\q");
    EXPECT_EQ(render("{{ 1 + 2 * 3 - 10 // 4 }} {{ -7 % 3 }} {{ 1 ~ 'a' ~ 2 }} {{ true }} {{ none }} {{ missing }}"),
              "5 2 1a2 True None ");
    EXPECT_EQ(render("{{ 'a' if 1 == 2 else 'b' }}{{ 'x' if false }}{{ not true or 1 < 2 and 'c' }}"), "bc");
    EXPECT_EQ(render("{{ ('user' == 'user') != (0 % 2 == 0) }} {{ 'a' in 'cat' }} {{ 'b' not in ['a'] }}"),
              "False True True");
    EXPECT_EQ(
        render("{{ messages[1:][0].role }} {{ messages[-1]['content'] }} {{ messages[::-1][0].role }} {{ 'abc'[1:] }}",
               kMessages),
        "user A assistant bc");
    EXPECT_EQ(
        render("{{ messages[1].content | trim + '!' }}{{ messages | length }}{{ messages[7] is defined }}", kMessages),
        "U!3False");
    EXPECT_EQ(
        render("{{ '\u3000\x1f a \u00a0'.strip() }}|{{ ' a '.rstrip() }}|{{ 'xax'.strip('x') }}|{{ 'a,b'.split(',')[1] }}"),
        "a| a|a|b");
    EXPECT_EQ(render("{{ 'assistant'.title() }} {{ 'A' | lower }} {{ 'abc'.startswith('ab') }} {{ {'a': 'b'}.get('a') }}"),
              "Assistant a True b");
    EXPECT_EQ(render("{{ x is none }}{{ y is defined }}{{ x is not none }}{{ 'a' is string }}{{ y | default('d') }}",
                     {
                         {"x", Value::none()}
    }),
              "TrueFalseFalseTrued");
    EXPECT_EQ(render("{{ '}}' }}{{ {'a': {'b': 'c'}}['a']['b'] }}"), "}}c");
}

TEST(Jinja, Statements) {
    EXPECT_EQ(render("{% for m in messages %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ m.role[0] }} {% endfor %}",
                     kMessages),
              "0TrueFalses 1FalseFalseu 2FalseTruea ");
    EXPECT_EQ(render("{% set x = 'a' %}{% for i in range(2) %}{% set x = 'b' %}{% endfor %}{{ x }}"), "a");
    EXPECT_EQ(render("{% set n = namespace(x='a') %}{% for i in range(2) %}{% set n.x = n.x + 'b' %}{% endfor %}{{ n.x }}"),
              "abb");
    EXPECT_EQ(render("{% for m in messages if m.role != 'system' %}{{ loop.index }}{{ m.role }}{% else %}none{% endfor %}",
                     kMessages),
              "1user2assistant");
    EXPECT_EQ(
        render("{% for x in [] %}{% else %}none{% endfor %}{% for k, v in {'a': 'b'}.items() %}{{ k + v }}{% endfor %}"),
        "noneab");
    EXPECT_EQ(render("{% for i in range(9) %}{% if i == 1 %}{% continue %}{% elif i > 2 %}{% break %}{% endif %}{{ i }}{% "
                     "endfor %}"),
              "02");
    EXPECT_EQ(
        render(
            "{% generation %}a{% endgeneration %}{{ (messages | selectattr('role', 'equalto', 'user') | list)[0].role }}",
            kMessages),
        "auser");
    EXPECT_EQ(render("{% if tools %}{{ tools | nothing_known(1).of_this() }}{% endif %}"), "");
}

TEST(Jinja, Exceptions) {
    EXPECT_THROW(render("{{ raise_exception('no') }}"), JinjaRaised);
    EXPECT_EQ(error_of([] { render("{{ raise_exception('roles must ' ~ 1) }}"); }), "roles must 1");
}

TEST(Jinja, CopiesShareTheirText) {
    const Value text(std::string(1 << 16, 'a')), list = Value::List{text}, copy = list.list()[0];
    EXPECT_EQ(&copy.text(), &text.text());
}

// What is no template, or takes more than nib has.
TEST(Jinja, Refusals) {
    for (const char* const text :
         {"{{ 'a' ", "{% if true %}", "{% endif %}", "{{ a b }}", "{{ 'a }}", "{# a", "{{ $ }}", "{% if %}{% endif %}",
          "{{ }}", "{% for x of y %}{% endfor %}", "{% set x %}y{% endset %}", "{% macro f() %}{% endmacro %}",
          "{{ 99999999999999999999 }}", "{{ [1 }}", "{{ a[1:2:3:4] }}", "{{ '\\x4' }}", "{% raw %}{% endraw %}",
          "{% include 'x' %}", "{{ a['b' }}"})
        EXPECT_NE(error_of([&] { JinjaTemplate tried(text); }), "") << text;
    for (const char* const text :
         {"{{ a.b }}", "{{ 'a' + 1 }}", "{{ 'a' + missing }}", "{{ f() }}", "{{ 'a' | tojson }}", "{{ 'a'.encode() }}",
          "{{ 1 % 0 }}", "{{ 1 is nothing }}", "{{ [1] }}", "{{ strftime_now() }}", "{% for x in 1 %}{% endfor %}",
          "{% set x.y = 1 %}", "{{ range(99999999) }}", "{{ 'é' | upper }}", "{{ 'a'.split('') }}",
          "{{ 'a'.replace('', 'b') }}", "{{ 4000000000 * 4 }}"})
        EXPECT_NE(error_of([&] { render(text); }), "") << text;
}

TEST(Jinja, HostileSizes) {
    const auto repeated = [](const std::string& text, int count) {
        std::string out;
        for (int i = 0; i < count; ++i) out += text;
        return out;
    };
    EXPECT_MENTIONS(error_of([&] { render("{{ " + repeated("(", 100'000) + "1" + repeated(")", 100'000) + " }}"); }),
                    "nested too deeply");
    EXPECT_MENTIONS(error_of([&] { render("{{ 1" + repeated(" + 1", 100'000) + " }}"); }), "nested too deeply");
    EXPECT_EQ(render("{{ 1" + repeated(" + 1", 400) + " }}"), "401");
    EXPECT_MENTIONS(error_of([&] { render("{{ 1" + repeated(" + 1", 2500) + " }}"); }), "nested too deeply");
    EXPECT_MENTIONS(error_of([&] { render("{{ a" + repeated("[0]", 100'000) + " }}"); }), "nested too deeply");
    EXPECT_MENTIONS(error_of([&] { render(repeated("{% if 1 %}", 50'000)); }), "nested too deeply");
    EXPECT_MENTIONS(error_of([&] { render("{{ " + repeated("not ", 100'000) + "1 }}"); }), "nested too deeply");
    const std::string pairs = "{% set x = [1] %}" + repeated("{% set x = [x, x] %}", 64);
    EXPECT_MENTIONS(error_of([&] { render(pairs + "{{ x == [x[0], x[1]] }}"); }), "takes too long");
    EXPECT_MENTIONS(error_of([&] { render(pairs + repeated("{% set x = [x, x] %}", 64)); }), "nested too deeply");
    EXPECT_MENTIONS(error_of([&] { render("{% set x = 'abcdefgh' %}" + repeated("{% set x = x + x %}", 64)); }),
                    "texts are too long");
    // Chains within chains.
    std::string chains = "a";
    for (int i = 0; i < 20; ++i) chains = "(" + chains + ")" + repeated(".a", 480);
    EXPECT_MENTIONS(error_of([&] { render("{{ " + chains + " }}"); }), "nested too deeply");
    const std::string text = "{% set x = 'abcdefgh' %}" + repeated("{% set x = x + x %}", 12);
    EXPECT_EQ(render(text + "{% set y = [x] %}" + repeated("{% set y = y + y %}", 15) + "{{ y | length }}"), "32768");
    const std::string same = "'" + std::string(30'000, 'a') + "'";
    EXPECT_MENTIONS(error_of([&] { render("{{ " + same + "[1:] ~ 'b' in " + same + " ~ " + same + " }}"); }),
                    "takes too long");
    EXPECT_MENTIONS(error_of([&] { render("{{ " + same + ".split(" + same + ") }}"); }), "takes too long");
    EXPECT_MENTIONS(error_of([&] { render(text + "{{ '" + std::string(4000, 'b') + "'.replace('b', x) }}"); }),
                    "texts are too long");
    const std::string loop = "{% for i in range(9999) %}";
    EXPECT_MENTIONS(error_of([&] { render(loop + loop + loop + "{% endfor %}{% endfor %}{% endfor %}"); }),
                    "takes too long");
    EXPECT_MENTIONS(error_of([&] { render(std::string(2'000'000, 'a')); }), "MiB");
    EXPECT_MENTIONS(error_of([&] { render(loop + std::string(9000, 'a') + "{% endfor %}"); }), "writes too much");
}

}  // namespace
}  // namespace nib::test

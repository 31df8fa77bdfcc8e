#include "usage.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace nib {
namespace {

constexpr size_t kWidth = 80, kColumn = 24;  // where explanations begin

// Wraps `text` at kWidth columns; `begun` columns of the first line are taken already, other lines are indented.
std::string wrapped(std::string_view text, size_t begun, size_t indent) {
    std::string out;
    size_t column = begun;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(' ', at), text.size()), length = end - at;
        if (column > indent && column + 1 + length > kWidth) {
            out += "\n" + std::string(indent, ' ');
            column = indent;
        } else if (at > 0) {
            out += ' ';
            ++column;
        }
        out += text.substr(at, length);
        column += length;
        at = std::min(text.size(), end + 1);
    }
    return out + "\n";
}

// A name on the left, its explanation beside it or, if the name is long, below.
std::string entry(const std::string& name, const std::string& explanation) {
    std::string line = "  " + name;
    if (line.size() + 2 > kColumn) line += "\n" + std::string(kColumn, ' ');
    if (line.size() < kColumn) line.resize(kColumn, ' ');
    return line + wrapped(explanation, kColumn, kColumn);
}

// An option that may be given without its name, too, is shown as an option.
bool is_argument(const CLI::Option& option) { return option.get_positional() && !option.nonpositional(); }

bool is_list(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

// "-o, --output NAME"
std::string option_name(const CLI::Option& option) {
    std::string name = option.get_name(false, true);
    if (const size_t comma = name.find(','); comma != std::string::npos) name.insert(comma + 1, " ");
    if (option.get_items_expected_max() > 0) name += " " + option.get_type_name();
    return name;
}

std::string option_text(const CLI::Option& option) {
    std::string text = option.get_description();
    if (option.get_required()) text += " (required)";
    if (!option.get_default_str().empty()) text += " (default: " + option.get_default_str() + ")";
    return text;
}

std::string usage_line(const CLI::App& app) {
    std::string line = full_name(app);
    if (!app.get_subcommands({}).empty()) line += " COMMAND";
    for (const CLI::Option* o : app.get_options())
        if (is_argument(*o)) {
            const std::string name = o->get_name(true) + (is_list(*o) ? "..." : "");
            line += o->get_required() ? " " + name : " [" + name + "]";
        }
    for (const CLI::Option* o : app.get_options())
        if (!is_argument(*o) && o->get_required())
            line += " " + (o->get_snames().empty() ? "--" + o->get_lnames()[0] : "-" + o->get_snames()[0]) + " " +
                    o->get_type_name();
    return "usage: " + line + " [OPTIONS]\n";
}

// Levenshtein distance: how many letters to change, insert or delete to turn `a` into `b`.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b.size(); ++j) {
            const size_t above = row[j + 1];
            row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] != b[j])});
            diagonal = above;
        }
    }
    return row.back();
}

std::string unknown_argument(const CLI::App& app, const std::string& argument) {
    if (!argument.starts_with('-')) return "`" + printable(argument, 40) + "` is one argument too many";
    const std::string given = argument.substr(0, argument.find('='));
    std::string nearest;
    size_t least = 3;  // with as many mistakes as this, it is another word
    for (const CLI::Option* option : app.get_options())
        for (const std::string& name : option->get_lnames())
            if (const size_t d = distance(given, "--" + name); d < least) least = d, nearest = "--" + name;
    return "there is no option `" + printable(given, 40) + "`" + (nearest.empty() ? "" : "; did you mean " + nearest + "?");
}

}  // namespace

std::string paragraphs(const std::string& text) {
    std::string out, paragraph;
    const auto finish = [&] {
        if (!paragraph.empty()) out += wrapped(paragraph, 0, 0);
        paragraph.clear();
    };
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string line = text.substr(at, end - at);
        at = end + 1;
        if (!line.empty() && line[0] != ' ') {
            paragraph += (paragraph.empty() ? "" : " ") + line;
            continue;
        }
        finish();
        out += line + "\n";
    }
    finish();
    return out;
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
    std::string help = app->get_description() + "\n\n" + usage_line(*app);
    const auto heading = [&](const std::string& text) { help += "\n" + text + ":\n"; };
    const auto positional = app->get_options([](const CLI::Option* o) { return is_argument(*o); });
    if (!positional.empty()) heading("Arguments");
    for (const CLI::Option* o : positional)
        help += entry(o->get_name(true) + (is_list(*o) ? "..." : ""), o->get_description());
    const auto commands = app->get_subcommands({});
    if (!commands.empty()) heading("Commands");
    for (const CLI::App* command : commands) help += entry(command->get_name(), command->get_description());
    for (const std::string& group : app->get_groups()) {
        const auto options =
            app->get_options([&](const CLI::Option* o) { return !is_argument(*o) && o->get_group() == group; });
        if (!options.empty()) heading(group);
        for (const CLI::Option* o : options) help += entry(option_name(*o), option_text(*o));
    }
    if (!app->get_footer().empty()) help += "\n" + paragraphs(app->get_footer());
    return help;
}

std::string full_name(const CLI::App& command) {
    return (command.get_parent() != nullptr ? full_name(*command.get_parent()) + " " : "") + command.get_name();
}

std::string usage_message(const CLI::App& command, const CLI::ParseError& error) {
    const std::string text = error.what(), kind = error.get_name();
    const auto contains = [&](const char* part) { return text.find(part) != std::string::npos; };
    const auto until = [](const std::string& s, char end) { return s.substr(0, s.find(end)); };
    const std::string rest = text.substr(std::min(text.find(": ") + 2, text.size())),
                      last = text.substr(text.rfind(' ') + 1);
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !command.remaining().empty())
        return unknown_argument(command, command.remaining().front());
    if (kind == "ConversionError") return until(rest, ' ') + " takes no value";  // numbers have validators
    if (kind == "ArgumentMismatch" && contains("missing")) return until(text, ':') + " needs a value";
    if (kind == "ArgumentMismatch" && contains("At Most")) return until(text, ':') + " is given more than once";
    if (kind == "RequiredError" && contains("subcommand")) {
        const auto rest = command.remaining();
        if (command.get_parent() == nullptr || rest.empty() || rest.front().starts_with('-')) return "a command is missing";
        return "there is no command `" + command.get_name() + " " + printable(rest.front(), 40) + "`";
    }
    if (kind == "RequiresError") return until(text, ' ') + " works only with " + last;
    if (kind == "ExcludesError") return until(text, ' ') + " and " + last + " exclude each other";
    return text;
}

std::string advice(Remedy remedy, const CLI::App& command) {
    switch (remedy) {
        case Remedy::None: break;
        case Remedy::ReplaceOutput: return "; add --overwrite to replace it";
        case Remedy::ResumeOrReplace: return "; add --resume to go on with its training, or --overwrite to replace it";
        case Remedy::ShortenContext: return "; use a smaller --context or more text";
        case Remedy::SkipUnknown:
            return command.get_option_no_throw("--skip-unknown") ? "; remove it or use --skip-unknown" : "; remove it";
        case Remedy::GiveHeads: return "; give --heads";
        case Remedy::ChangeHeads: return "; choose another value of --heads";
        case Remedy::GiveActivation: return "; --activation sets it";
        case Remedy::GiveVocabulary: return "; --vocab adds one";
        case Remedy::LeaveOutVocabulary: return "; --vocab none converts the model without its tokenizer";
        case Remedy::GiveBase: return "; name the model it belongs to with --base";
        case Remedy::LengthenContext:
            return command.get_option_no_throw("--context") ? "; a larger --context has more" : "";
        case Remedy::ChooseTemplate: return "; --template NAME chooses one";
    }
    return "";
}

std::string advised(const Error& error, const CLI::App& command) {
    return (error.about_option() ? "--" : "") + std::string(error.what()) + advice(error.remedy(), command);
}

}  // namespace nib

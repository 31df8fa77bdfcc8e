#include "line_editor.h"

#include <fcntl.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdlib>
#include <cwchar>
#include <exception>
#include <string_view>
#include <utility>

#include "input.h"
#include "interrupt.h"
#include "libedit.h"
#include "text/utf8.h"

namespace nib {

using namespace libedit;

namespace {

constexpr int kHistory = 1000;  // lines
constexpr wchar_t kInterruptKey = L'\x03';

// While a line is edited, the terminal is in a mode in which a shell could not be used.
termios found;  // the mode before
constexpr int kDeadly[] = {SIGTERM, SIGHUP, SIGQUIT};

extern "C" void on_deadly_signal(int signal) {
    tcsetattr(STDIN_FILENO, TCSANOW, &found);
    std::raise(signal);  // whose handler is the default one again
}

void restore_terminal_on_signals() {
    struct sigaction action = {};
    action.sa_handler = on_deadly_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    for (const int signal : kDeadly) sigaction(signal, &action, nullptr);
}

bool is_editable() {
    const char* const name = std::getenv("TERM");
    return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 && name != nullptr && *name != '\0' &&
           name != std::string_view("dumb") && tcgetattr(STDIN_FILENO, &found) == 0;
}

// libedit asks the locale how characters are written and how wide they are.
class WithLocale {
public:
    explicit WithLocale(locale_t locale) : before_(uselocale(locale)) {}
    ~WithLocale() { uselocale(before_); }
    WithLocale(const WithLocale&) = delete;
    WithLocale& operator=(const WithLocale&) = delete;

private:
    locale_t before_;
};

}  // namespace

struct LineEditor::State {
    const Functions& f;
    locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    std::FILE* screen = nullptr;  // standard error, but buffered: a line is drawn in one piece
    EditLine* editor = nullptr;
    HistoryW* history = nullptr;

    std::wstring prompt;
    Utf8Streamer decoder;
    std::string typed;  // UTF-8, not taken yet
    winsize window = {};
    bool interrupted = false, dropped = false;
    std::exception_ptr error;  // C code is no place for exceptions

    explicit State(const Functions& functions) : f(functions) {}
    ~State();
    bool start();
    void set_up();
    int next_character(wchar_t* character);
    void suspend();
    void notice_size();

    // What libedit calls.
    static State& of(EditLine* editor) {
        State* state = nullptr;
        libedit::open()->el_wget(editor, EL_CLIENTDATA, &state);
        return *state;
    }
    static wchar_t* get_prompt(EditLine* editor) { return of(editor).prompt.data(); }
    static int get_character(EditLine* editor, wchar_t* character) { return of(editor).next_character(character); }
    static unsigned char drop_line(EditLine* editor, wint_t) {
        State& state = of(editor);
        const int length = state.f.el_cursor(editor, INT_MAX / 2);  // to the end, below which the next line begins
        state.interrupted = true, state.dropped = length > 0;
        return CC_CURSOR;
    }
};

LineEditor::State::~State() {
    if (locale != nullptr) {
        const WithLocale with(locale);
        if (editor != nullptr) f.el_end(editor);
        if (history != nullptr) f.history_wend(history);
    }
    if (screen != nullptr) std::fclose(screen);
    if (locale != nullptr) freelocale(locale);
}

// Whether all that is needed is there.
bool LineEditor::State::start() {
    if (locale == nullptr) return false;
    const WithLocale with(locale);
    const int descriptor = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (descriptor < 0 || (screen = fdopen(descriptor, "w")) == nullptr) return false;
    editor = f.el_init("nib", stdin, screen, screen);
    history = f.history_winit();
    if (editor == nullptr || history == nullptr) return false;
    set_up();
    ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
    restore_terminal_on_signals();
    return true;
}

void LineEditor::State::set_up() {
    HistEventW event;
    f.history_w(history, &event, H_SETSIZE, kHistory);
    f.history_w(history, &event, H_SETUNIQUE, 1);
    f.el_wset(editor, EL_CLIENTDATA, this);
    f.el_wset(editor, EL_HIST, f.history_w, history);
    f.el_wset(editor, EL_EDITOR, L"emacs");
    f.el_wset(editor, EL_PROMPT, get_prompt);
    f.el_wset(editor, EL_GETCFN, get_character);
    // Ctrl-C comes as a character, so that the screen can be left in order.
    f.el_wset(editor, EL_SETTY, L"-d", L"-isig", nullptr);
    f.el_wset(editor, EL_ADDFN, L"nib-drop-line", L"Drop the line", drop_line);
    const std::pair<const wchar_t*, const wchar_t*> keys[] = {
        {L"^C",       L"nib-drop-line"      },
        {L"^I",       L"ed-insert"          }, // as in pasted code
        {L"^R",       L"em-inc-search-prev" },
        {L"^W",       L"ed-delete-prev-word"},
        {L"\\e[3~",   L"ed-delete-next-char"},
        {L"\\e[1~",   L"ed-move-to-beg"     },
        {L"\\e[4~",   L"ed-move-to-end"     },
        {L"\\e[1;5C", L"em-next-word"       },
        {L"\\e[1;5D", L"ed-prev-word"       },
    };
    for (const auto& [key, command] : keys) f.el_wset(editor, EL_BIND, key, command, nullptr);
}

// What libedit reads: 1 for a character, 0 at the end, -1 to give up the line.
int LineEditor::State::next_character(wchar_t* character) {
    if (interrupted) return -1;
    try {
        while (typed.empty()) {
            std::string bytes;
            const bool read = read_some(bytes);
            notice_size();
            if (!read) {
                forget_interrupt();
                *character = kInterruptKey;
                return 1;
            }
            if (bytes.empty()) return 0;
            typed = decoder.push(bytes);
        }
    } catch (...) {
        error = std::current_exception();
        return -1;
    }
    const Decoded next = decode_utf8(typed, 0);
    typed.erase(0, static_cast<size_t>(next.length));
    const auto is_key = [&](int key) { return next.code == found.c_cc[key] && next.code != _POSIX_VDISABLE; };
    if (is_key(VSUSP)) {
        suspend();
        return next_character(character);
    }
    *character = is_key(VINTR) ? kInterruptKey : static_cast<wchar_t>(next.code);
    return 1;
}

// As the terminal does it: all that runs in the foreground stops, until the shell lets it go on.
void LineEditor::State::suspend() {
    f.el_wset(editor, EL_PREP_TERM, 0);
    kill(0, SIGTSTP);
    f.el_wset(editor, EL_PREP_TERM, 1);
    f.el_wset(editor, EL_REFRESH);
}

void LineEditor::State::notice_size() {
    winsize now = {};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &now) != 0 || (now.ws_col == window.ws_col && now.ws_row == window.ws_row)) return;
    window = now;
    std::fputs("\r\x1b[J", screen);  // the terminal may have wrapped the line in another way
    f.el_resize(editor);
    f.el_wset(editor, EL_REFRESH);
}

std::unique_ptr<LineEditor> LineEditor::open() {
    const Functions* const functions = is_editable() ? libedit::open() : nullptr;
    if (functions == nullptr) return nullptr;
    auto state = std::make_unique<State>(*functions);
    if (!state->start()) return nullptr;
    return std::unique_ptr<LineEditor>(new LineEditor(std::move(state)));
}

LineEditor::LineEditor(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineEditor::~LineEditor() = default;

LineEditor::Result LineEditor::read(const char* prompt, std::string& line) {
    State& s = *state_;
    const WithLocale with(s.locale);
    s.prompt.assign(prompt, prompt + std::string_view(prompt).size());
    s.interrupted = false;
    int count = 0;
    const wchar_t* const text = s.f.el_wgets(s.editor, &count);
    if (s.error) std::rethrow_exception(std::exchange(s.error, nullptr));
    if (s.interrupted) return s.dropped ? Result::Dropped : Result::Interrupted;
    if (text == nullptr || count <= 0) return Result::End;
    line.clear();
    for (const wchar_t code : std::wstring_view(text, static_cast<size_t>(count)))
        append_utf8(line, static_cast<char32_t>(code));
    drop_line_end(line);
    HistEventW event;
    if (line.find_first_not_of(" \t") != std::string::npos) s.f.history_w(s.history, &event, H_ENTER, text);
    return Result::Line;
}

}  // namespace nib

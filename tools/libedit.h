// libedit, opened on first use, so that the binary also runs on machines without it. The declarations are those of its
// histedit.h, in the variants for wide characters.
#pragma once

#include <cstdio>

namespace nib::libedit {

struct EditLine;
struct HistoryW;
struct HistEventW {
    int num;
    const wchar_t* str;
};

// What el_wset() sets.
constexpr int EL_PROMPT = 0, EL_EDITOR = 2, EL_BIND = 4, EL_SETTY = 8, EL_ADDFN = 9, EL_HIST = 10, EL_GETCFN = 13,
              EL_CLIENTDATA = 14, EL_PREP_TERM = 16, EL_REFRESH = 20;
// What history_w() does.
constexpr int H_SETSIZE = 1, H_ENTER = 10, H_SETUNIQUE = 20;
// What a function for a key returns: the cursor has moved.
constexpr unsigned char CC_CURSOR = 5;

/// The functions that nib calls.
struct Functions {
    EditLine* (*el_init)(const char*, std::FILE*, std::FILE*, std::FILE*) = nullptr;
    void (*el_end)(EditLine*) = nullptr;
    const wchar_t* (*el_wgets)(EditLine*, int*) = nullptr;
    int (*el_wset)(EditLine*, int, ...) = nullptr;
    int (*el_wget)(EditLine*, int, ...) = nullptr;
    int (*el_cursor)(EditLine*, int) = nullptr;
    void (*el_resize)(EditLine*) = nullptr;
    HistoryW* (*history_winit)() = nullptr;
    void (*history_wend)(HistoryW*) = nullptr;
    int (*history_w)(HistoryW*, HistEventW*, int, ...) = nullptr;
};

/// Null if this machine has no libedit, or one without these functions.
const Functions* open();

}  // namespace nib::libedit

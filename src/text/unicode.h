// What the steps of a tokenizer need to know of Unicode, exactly as Hugging Face's tokenizers know it, so that ids agree:
// their parts rest on different versions of Unicode (see tests/goldens/make_unicode_classes.py).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nib {

// Classes of characters, by the names of Rust's functions.
bool is_whitespace(char32_t code);
bool is_numeric(char32_t code);      // digits of any script, also "½" and "Ⅷ"
bool is_punctuation(char32_t code);  // with all of ASCII's, such as "$" and "~"
bool is_control(char32_t code);      // what BERT removes: control and format characters, private ones; not \t, \n, \r
bool is_mark(char32_t code);         // combining marks
bool is_nonspacing_mark(char32_t code);
bool is_word(char32_t code);     // a letter, mark, digit or connector: \w
bool is_chinese(char32_t code);  // in a block of Chinese characters, as BERT defines it

/// Appends the character in lower case, without regard to its neighbours: "Σ" is always "σ".
void append_lower(std::string& text, char32_t code);

/// Where the grapheme cluster (UAX #29) that begins at byte `at` of a text, which is UTF-8, ends.
size_t grapheme_end(std::string_view text, size_t at);

/// Unicode's normalization forms (UAX #15).
enum class NormalForm { Nfc, Nfd, Nfkc, Nfkd };
/// The text, which is UTF-8, in that form. Takes time n log n even for a text of nothing but marks.
std::string normalized(std::string_view text, NormalForm form);

/// The members of a property of a regular expression ("Lu", "L", "N", ...) as PCRE2 writes them between brackets: all
/// that are in the class in Unicode 16. Empty if it is not a general category.
std::string category_members(std::string_view category);
/// Likewise the members of \w and \s in Oniguruma, and of all that is not \s.
const std::string& word_members();
std::string_view space_members();
std::string_view nonspace_members();

}  // namespace nib

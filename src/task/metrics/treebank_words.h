// Words as NLTK's word_tokenize() finds them in one sentence.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nib {

/// The words and punctuation marks of a text in lower case by the conventions of the Penn Treebank, as NLTK extends them:
/// "can't stop." is "ca n't stop .", and quotes become `` and ''. A text is taken to be one sentence, so only a period at
/// its end stands alone.
std::vector<std::string> treebank_words(std::string_view text);

}  // namespace nib

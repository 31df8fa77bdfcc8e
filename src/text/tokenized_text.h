// Texts of any size, tokenized once and kept in a file beside what they are for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/piece_workers.h"
#include "text/token_file.h"
#include "text/tokenizer.h"

namespace nib {

/// Where documents end: with each file or, of .jsonl files, record; at blank lines within them, too; or with each line,
/// which is then one without its line feed.
enum class DocumentEnds { Files, BlankLines, Lines };

struct TokenizedTextOptions {
    DocumentEnds documents = DocumentEnds::Files;
    int threads = 1;
    /// Called from these threads, one at a time.
    WorkProgress progress{};
};

/// The tokens of the texts at `paths` (see TextSource), each document after the token that begins one, where the
/// tokenizer puts one before every text, and before the token that ends one, where there is such a token. They are read
/// from a file in `folder` whose name tells texts and tokenizer apart; it is made unless it is there. The same for any
/// number of threads: documents are cut for them only where that gives the same tokens, but those of tokenizers that
/// leave no such place every 16 MiB. Error as of TextSource and of TokenFileWriter, and for text without tokens.
std::unique_ptr<TokenFile> tokenized_text(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                          const std::string& folder, const TokenizedTextOptions& options);

}  // namespace nib

#include "task/tagged_file.h"

#include <optional>
#include <string_view>

#include "text/text_encoding.h"

namespace nib {
namespace {

bool is_blank(const std::string& line) { return line.find_first_not_of(" \t\r") == std::string::npos; }

std::vector<std::string> columns_of(const std::string& line) {
    const bool tabs = line.find('\t') != std::string::npos;
    std::vector<std::string> columns;
    for (size_t begin = 0;;) {
        const size_t end = std::min(line.find(tabs ? '\t' : ' ', begin), line.size());
        if (tabs || end > begin) columns.push_back(line.substr(begin, end - begin));
        if (end == line.size()) return columns;
        begin = end + 1;
    }
}

bool looks_like_tag(std::string_view text) {
    return text == "O" ||
           (text.size() > 2 && text[1] == '-' && std::string_view("BIESLU").find(text[0]) != std::string_view::npos);
}

}  // namespace

TaggedFile::TaggedFile(const std::string& path, bool skip_bad)
    : reader_(path, RecordReader::Kind::AllLines), bad_(skip_bad) {}

bool TaggedFile::next(TaggedSentence& sentence) {
    while (read_sentence(sentence))
        if (!sentence.tokens.empty()) return true;
    return false;
}

// Up to a blank line; without tokens if it is to be passed over.
bool TaggedFile::read_sentence(TaggedSentence& sentence) {
    sentence = {};
    std::optional<Error> wrong;
    std::string line;
    while (reader_.next(line)) {
        if (is_blank(line)) {
            if (sentence.tokens.empty() && !wrong) continue;
            break;
        }
        if (wrong || line.starts_with("-DOCSTART-") || (sentence.tokens.empty() && is_comment(line))) continue;
        try {
            add_line(line, sentence);
        } catch (const Error& error) {
            wrong = error;
        }
    }
    if (!wrong) return !sentence.tokens.empty();
    bad_.refuse(*wrong);
    sentence = {};
    return true;
}

// The token "#" can begin a sentence, too.
bool TaggedFile::is_comment(const std::string& line) const {
    if (line != "#" && !line.starts_with("# ")) return false;
    const std::vector<std::string> columns = columns_of(line);
    return columns.size() < 2 || (columns_ != 0 && columns.size() != columns_) || !looks_like_tag(columns.back());
}

void TaggedFile::add_line(const std::string& line, TaggedSentence& sentence) {
    check_text(line, reader_.where(), reader_.offset());
    std::vector<std::string> columns = columns_of(line);
    if (columns.size() < 2) fail("%s: there is one column; a token and its tag need two", reader_.where().c_str());
    if (columns_ == 0) columns_ = columns.size();
    if (columns.size() != columns_)
        fail("%s: there are %zu columns where there were %zu before", reader_.where().c_str(), columns.size(), columns_);
    if (columns.front().empty() || columns.back().empty())
        fail("%s: the %s is empty", reader_.where().c_str(), columns.front().empty() ? "token" : "tag");
    if (sentence.tokens.empty()) sentence.number = reader_.number();
    sentence.tokens.push_back(std::move(columns.front()));
    sentence.tags.push_back(std::move(columns.back()));
}

}  // namespace nib

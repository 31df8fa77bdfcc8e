#include "text/token_file.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "core/error.h"

namespace nib {
namespace {

constexpr uint64_t kMagic = 0x32736B6F7462696E;  // "nibtoks2"
using Footer = std::array<uint64_t, 9>;
constexpr size_t kFooter = sizeof(Footer), kBuffer = size_t{1} << 16;

// Ids of 16 bits have to leave room for the mark.
size_t width_of(int64_t vocab, bool marks) { return vocab <= (marks ? 1 << 15 : 1 << 16) ? 2 : 4; }

size_t padding(size_t bytes) { return (8 - bytes % 8) % 8; }

}  // namespace

TokenFileWriter::TokenFileWriter(const std::string& path, int64_t vocab, bool marks)
    : file_(path), vocab_(vocab), marks_(marks), width_(width_of(vocab, marks)) {
    buffer_.reserve(kBuffer);
}

void TokenFileWriter::put(int32_t id, bool mark) {
    if (id < 0 || id >= vocab_) fail("token %d is not among %lld", id, static_cast<long long>(vocab_));
    if (buffer_.size() + width_ > kBuffer) flush();
    const uint32_t word = static_cast<uint32_t>(id) | static_cast<uint32_t>(mark) << (8 * width_ - 1);
    for (size_t i = 0; i < width_; ++i) buffer_.push_back(static_cast<std::byte>(word >> 8 * i));
    ++size_;
}

void TokenFileWriter::flush() {
    file_.write(buffer_);
    buffer_.clear();
}

void TokenFileWriter::add(std::span<const int32_t> ids) {
    for (const int32_t id : ids) put(id, false);
}

void TokenFileWriter::add(std::span<const int32_t> ids, std::span<const uint8_t> marks) {
    if (!marks_ || marks.size() != ids.size()) fail("%zu tokens have %zu marks", ids.size(), marks.size());
    for (size_t i = 0; i < ids.size(); ++i) put(ids[i], marks[i] != 0);
}

void TokenFileWriter::end_document() {
    if (size_ > (ends_.empty() ? 0 : ends_.back())) ends_.push_back(size_);
}

void TokenFileWriter::finish(uint64_t key, uint64_t bytes, const PassedOver& passed_over) {
    end_document();
    if (ends_.empty()) fail("there is no token to write");
    buffer_.resize(buffer_.size() + padding(size_ * width_));
    flush();
    file_.write(std::as_bytes(std::span(ends_)));
    const Footer footer = {kMagic,
                           key,
                           size_,
                           ends_.size(),
                           static_cast<uint64_t>(vocab_),
                           marks_,
                           bytes,
                           passed_over.wrong,
                           passed_over.too_long};
    file_.write(std::as_bytes(std::span(footer)));
    file_.publish();
}

TokenFile::TokenFile(const std::string& path) : file_(path) {
    const std::span<const std::byte> all = file_.bytes();
    Footer footer{};
    if (all.size() < kFooter) damaged("is too short");
    std::memcpy(footer.data(), all.data() + all.size() - kFooter, kFooter);
    if (footer[0] != kMagic) damaged("does not end as a file of tokens does");
    const uint64_t most = all.size();
    const auto [magic, key, tokens, documents, vocab, marks, bytes, wrong, too_long] = footer;
    if (tokens == 0 || tokens > most || documents == 0 || documents > tokens || vocab == 0 || vocab > INT32_MAX ||
        marks > 1)
        damaged("has numbers that make no sense");
    key_ = key, bytes_ = bytes, passed_over_ = {wrong, too_long};
    size_ = static_cast<int64_t>(tokens), documents_ = static_cast<int64_t>(documents);
    vocab_ = static_cast<int64_t>(vocab), marks_ = marks != 0, width_ = width_of(vocab_, marks_);
    const size_t ids = static_cast<size_t>(tokens) * width_;
    ends_ = ids + padding(ids);
    if (ends_ + documents * sizeof(uint64_t) + kFooter != most) damaged("has another length than it says");
    uint64_t before = 0;
    for (int64_t i = 0; i < documents_; ++i) {
        const uint64_t end = end_of(i);
        if (end <= before || end > tokens) damaged("has documents out of order");
        before = end;
    }
    if (before != tokens) damaged("has tokens after its last document");
}

void TokenFile::damaged(const char* what) const {
    fail("%s: %s; it is damaged: remove it, and it is made again", printable(file_.path()).c_str(), what);
}

uint64_t TokenFile::end_of(int64_t document) const {
    uint64_t end;
    std::memcpy(&end, file_.bytes().data() + ends_ + static_cast<size_t>(document) * sizeof end, sizeof end);
    return end;
}

Span TokenFile::document(int64_t i) const {
    if (i < 0 || i >= documents_) fail("there is no document %lld", static_cast<long long>(i));
    return {i == 0 ? 0 : static_cast<int64_t>(end_of(i - 1)), static_cast<int64_t>(end_of(i))};
}

void TokenFile::read(int64_t begin, std::span<int32_t> ids) const { read(begin, ids, {}); }

void TokenFile::read(int64_t begin, std::span<int32_t> ids, std::span<uint8_t> marks) const {
    check_inside(begin, ids.size());
    if (!marks.empty() && marks.size() != ids.size()) fail("%zu tokens have %zu marks", ids.size(), marks.size());
    const std::byte* next = file_.bytes().data() + static_cast<size_t>(begin) * width_;
    const uint32_t mark = marks_ ? uint32_t{1} << (8 * width_ - 1) : 0;
    for (size_t i = 0; i < ids.size(); ++i, next += width_) {
        uint32_t word = 0;
        std::memcpy(&word, next, width_);
        if (!marks.empty()) marks[i] = (word & mark) != 0;
        word &= ~mark;
        if (word >= static_cast<uint64_t>(vocab_)) damaged("has a token that is not in the vocabulary");
        ids[i] = static_cast<int32_t>(word);
    }
}

std::unique_ptr<TokenFile> find_token_file(const std::string& path, uint64_t key) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) return nullptr;
    try {
        auto file = std::make_unique<TokenFile>(path);
        return file->key() == key ? std::move(file) : nullptr;
    } catch (const Error&) {
        return nullptr;  // damaged, or something else under that name
    }
}

}  // namespace nib

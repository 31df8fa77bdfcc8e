// From the scores of SentencePiece's BPE to the merges of Hugging Face's, and back.
#pragma once

#include <optional>

#include "text/tokenizer_spec.h"

namespace nib {

/// The same tokenizer as BPE by merges, as transformers' converter makes it: every way to put a token together from two,
/// those of higher scores first. What only SentencePiece can do is lost: merging characters that are no tokens, and
/// the leftmost of two ways that give the same token where they overlap.
TokenizerSpec with_merges(const TokenizerSpec& spec);

/// BPE by merges as SentencePiece's. Nothing where scores cannot say it: merges that give the same token must follow each
/// other, as in with_merges(), and be all that can give it, and whatever has no token must become bytes. `nearest`: what
/// comes closest is good enough.
std::optional<TokenizerSpec> with_scores(const TokenizerSpec& spec, bool nearest = false);

}  // namespace nib

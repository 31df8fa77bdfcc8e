// The backward pass of one table of Embed, of N rows: dw is dwte, dwpe or dwse, and ids are its ids, positions or segments. The
// rows of dy that are added to the same row of dw form a linked list.
const uint kHasEarlier = 0x80000000u;  // bit of a link: an earlier row has the same id

TENSOR(EmbedBackward_ids, readonly restrict, int, ids);  // (R)

/// The word of the scratch memory with the link of row r: R links follow the dropout mask.
uint link_at(uint r) { return (kDropout == 0 ? 0 : 4 * ((p.B * p.T * p.C - 1) / 128 + 1)) + r; }

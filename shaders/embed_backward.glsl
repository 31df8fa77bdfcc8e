// The backward pass of one table of Embed, of N rows: dw is dwte, dwpe or dwse, and ids are its ids, positions or segments. The
// rows of dy that go to the same row of dw form a linked list.
const uint kHasEarlier = 0x80000000u;  // bit of a link: an earlier row goes there, too

TENSOR(EmbedBackward_ids, readonly restrict, int, ids);  // (R)

/// Where the link of row r is in the words of the node's scratch: R links follow the dropout mask.
uint link_at(uint r) { return (kDropout == 0 ? 0 : 4 * ((p.B * p.T * p.C - 1) / 128 + 1)) + r; }

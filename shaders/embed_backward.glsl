// Embed has two tables, number 0 is wte and number 1 is wpe. For each of them the rows of dy that go to the same row of the table
// form a linked list.
const uint kHasEarlier = 0x80000000u;  // bit of a link: an earlier row goes there, too

#define table_row(table, r) uint((table) == 0 ? AT(1, ids, r) : AT(2, positions, r))

/// Where the link of row r is in the words of the node's scratch: (2,R) links follow the dropout mask.
uint link_at(uint table, uint r) {
    return (kDropout == 0 ? 0 : 4 * ((p.B * p.T * p.C - 1) / 128 + 1)) + table * p.B * p.T + r;
}

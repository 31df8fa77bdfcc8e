// Of the two tables of embed, number 0 is wte and 1 is wpe.
const uint kAgain = 0x80000000u;

#define table_row(table, r) uint((table) == 0 ? AT(1, ids, r) : AT(2, positions, r))

/// Where the link of row r is among the words of the node's scratch: (2,R) of them follow dropout's mask.
uint link_at(uint table, uint r) {
    return (kDrops == 0 ? 0 : 4 * ((p.B * p.T * p.C - 1) / 128 + 1)) + table * p.B * p.T + r;
}

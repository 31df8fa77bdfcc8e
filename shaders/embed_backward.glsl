// Of the two tables of embed, number 0 is wte and 1 is wpe.
const uint kAgain = 0x80000000u;

uint table_row(uint table, uint r) { return uint(table == 0 ? AT(1, ids, r) : AT(2, positions, r)); }

// Keys and values of a session's cache, of kType: number `index` of tensor i.
TENSOR(6, readonly restrict, uint, keys);    // (B,H,S,D)
TENSOR(7, readonly restrict, uint, values);  // (B,H,S,D)

#define CACHED_NUMBER(i, name, index)                            \
    (kType == kF32 ? uintBitsToFloat(AT(i, name, index))         \
                   : from_f16(name##_data[(p.shift[i] + (index)) >> 1] >> 16 * ((p.shift[i] + (index)) & 1) & 0xFFFFu))

/* SPDX-License-Identifier: Apache-2.0 */
/* Eight table look-ups per eight bytes; the tables are made at the first call. */
#include "crc32.h"

#include <string.h>

#define POLYNOMIAL 0xedb88320u /* bits reversed */

static uint32_t tables[8][256];

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (POLYNOMIAL & (0u - (crc & 1u)));
        tables[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int t = 1; t < 8; t++)
            tables[t][byte] = tables[t - 1][byte] >> 8 ^ tables[0][tables[t - 1][byte] & 0xffu];
}

uint32_t rp_crc32(uint32_t crc, const void *data, size_t bytes)
{
    const unsigned char *at = data;

    if (tables[0][1] == 0)
        make_tables();
    crc = ~crc;
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint32_t low, high;

        memcpy(&low, at, 4);
        memcpy(&high, at + 4, 4);
        low ^= crc;
        crc = tables[7][low & 0xffu] ^ tables[6][low >> 8 & 0xffu] ^ tables[5][low >> 16 & 0xffu] ^
              tables[4][low >> 24] ^ tables[3][high & 0xffu] ^ tables[2][high >> 8 & 0xffu] ^
              tables[1][high >> 16 & 0xffu] ^ tables[0][high >> 24];
    }
    for (; bytes > 0; bytes--, at++)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 0xffu];
    return ~crc;
}

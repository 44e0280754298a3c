/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 as in zlib, so that Python's zlib.crc32 gives the same numbers. */
#ifndef RINGPROOF_CRC32_H
#define RINGPROOF_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc` (0 to begin with) over `bytes` bytes. */
uint32_t rp_crc32(uint32_t crc, const void *data, size_t bytes);

#endif

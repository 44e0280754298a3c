/* SPDX-License-Identifier: Apache-2.0 */
/* Included before the virtqueue's source: its shared accesses and fences report themselves. */
#ifndef ACCESS_LOG_H
#define ACCESS_LOG_H

void log_access(char kind, const volatile void *word);
void log_fence(int order);

#define __atomic_load_n(word, order) (log_access('r', word), *(word))
#define __atomic_store_n(word, value, order) (log_access('w', word), *(word) = (value))
#define __atomic_thread_fence(order) log_fence(order)

#endif

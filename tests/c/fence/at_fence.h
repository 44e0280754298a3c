/* SPDX-License-Identifier: Apache-2.0 */
/* Included before every source: a device can act at each full fence, as one that runs beside the driver. */
#ifndef AT_FENCE_H
#define AT_FENCE_H

void at_fence(int order);

#define __atomic_thread_fence(order) (at_fence(order), __atomic_thread_fence(order))

#endif

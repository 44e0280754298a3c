/* SPDX-License-Identifier: Apache-2.0 */
/* Every case by name, with what it shows: X(name, "what"). */
#define CASES(X)                                                                                       \
    X(layout, "ring parts stand where the numbers computed by hand say")                               \
    X(initial_bytes, "a fresh ring is zero but for the free list and, without callback, the flag")     \
    X(bad_arguments, "create refuses bad sizes, features, layouts and versions, and holds nothing")    \
    X(no_memory, "create without memory says so and holds nothing")                                    \
    X(direct, "a direct chain takes descriptors in free-list order, ins after outs")                   \
    X(indirect, "a table of exactly 16 bytes per segment is filled, and released with its chain")      \
    X(indirect_fallback, "without memory for the table the chain is direct")                           \
    X(indirect_in_a_full_ring, "an indirect chain in a full ring is refused for lack of room")         \
    X(programming_errors, "no token, no segment and too many segments change nothing")                 \
    X(longer_than_ring, "a table longer than the ring: taken by linux-3.11, refused by virtio-1.x")    \
    X(no_room, "a full ring is met with a notification, or in virtio-1.x with a kick")                 \
    X(forced_kick, "the 65535th add since the last kick kicks, and no earlier one")                    \
    X(kick_by_flags, "without EVENT_IDX a kick notifies unless the device asked not to")               \
    X(kick_by_event, "with EVENT_IDX a kick notifies exactly when the event lies among the added")     \
    X(free_list, "returned chains go on top of the free list in their own order")                      \
    X(rearm, "get_buf writes used_event when callbacks are on, by the profile's rules")                \
    X(switches, "callbacks go off and on by the profile's rules")                                      \
    X(poll_mark, "poll tells whether anything was used since the mark, across the wrap")               \
    X(delayed, "the delayed callback asks for three quarters of what is in flight")                    \
    X(broken, "an id out of range or not in flight breaks the queue for good")                         \
    X(interrupts, "an interrupt is ours when something was used; the callback runs unless broken")     \
    X(detach_unused, "after a reset every chain comes back, one a call, lowest head first")            \
    X(long_run, "random work past the 16-bit wrap keeps chains, tokens and num_free right")

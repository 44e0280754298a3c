/* SPDX-License-Identifier: Apache-2.0 */
/* Every case by name, with what it shows: X(name, "what"). */
#define CASES(X)                                                                                       \
    X(entry, "the driver says what it is, and probe refuses an environment that is not whole")         \
    X(probe_legacy, "each access of a legacy probe, from reset to DRIVER_OK, and of remove")           \
    X(probe_modern, "each access of a modern probe, from reset to DRIVER_OK, and of remove")           \
    X(probe_all, "each access of a probe with configuration and control queue, on both transports")    \
    X(features, "accepted is what is offered and understood; virtio-1.x wants prerequisites, too")     \
    X(declined, "a modern device without VERSION_1, or refusing the features, is given up")            \
    X(reset, "a reset is waited for on the modern transport and in virtio-1.x, up to 1000 reads")      \
    X(generation, "configuration is read again until nothing changed meanwhile, up to 1000 times")     \
    X(pairs_offered, "max_virtqueue_pairs out of range is one pair; of many the first 8 are used")     \
    X(no_queue, "a missing, busy or badly sized queue takes down those before it and sets FAILED")     \
    X(no_memory, "without memory at any point of probe everything is given back and FAILED set")       \
    X(high_ring, "a ring whose page frame has more than 32 bits is given back")                        \
    X(shapes, "head, fragments and nested lists arrive whole, empty pieces take no segment")           \
    X(head_across_pages, "a head longer than a page is one segment")                                   \
    X(stale_list, "a short frame behind a long one ends where its own data ends")                      \
    X(most_pieces, "18 pieces are sent, 19 pieces or 18 fragments dropped before a byte is written")   \
    X(deep_lists, "lists nested 64 deep arrive, one more or one without end is dropped")               \
    X(wrong_length, "a frame whose packets hold fewer bytes than it says, or none, is dropped")        \
    X(plain_header, "without offload every byte of the header is zero, 10 or 12 by the features")      \
    X(offload_headers, "checksum and each kind of GSO are said in the header as asked")                \
    X(unfit_offloads, "virtio-1.x drops what the header or the features cannot carry, linux-3.11 not") \
    X(counts, "bytes and packets are counted when sent, without the header")                           \
    X(dropped, "a dropped frame is counted and freed once, and nothing else is told or written")       \
    X(refused, "a frame that the ring has no room for is dropped, and the memory for it given back")   \
    X(too_long_for_ring, "a frame of more pieces than descriptors: copied in virtio-1.x, else dropped") \
    X(copies, "copies are released with their frames, also at remove and when refused")                \
    X(stop, "a queue is stopped at 18 free descriptors and not at 19")                                 \
    X(stop_small, "on a small ring virtio-1.x stops below the ring's own size")                        \
    X(second_look, "frames used while the queue is stopped start it again, with callbacks off")        \
    X(wake, "the interrupt wakes a stopped queue: linux-3.11 at once, virtio-1.x once there is room")  \
    X(wake_later, "an interrupt that finds no room asks for another, and looks once more")             \
    X(kicks, "a frame is followed by a notification when the device wants one, by flag or event")      \
    X(indirect, "with INDIRECT_DESC a frame takes one descriptor and its table is released")           \
    X(in_flight, "remove frees the frames in flight, used ones included, and counts none")             \
    X(remove_stuck, "a device that cannot be reset keeps its memory and its frames")                   \
    X(interrupts, "ISR is read once; who it is for decides what is looked at")                         \
    X(set_pairs, "the number of pairs is set by a command, and used when the device agrees")           \
    X(set_pairs_fails, "no memory, no answer, a late answer and no room for a command")                \
    X(select, "recorded queue or processor, reduced to the queues in use")                             \
    X(queues_apart, "each pair has its queue, its counts and its room")                                \
    X(long_run, "random frames, completions and interrupts past the 16-bit wrap stay right")

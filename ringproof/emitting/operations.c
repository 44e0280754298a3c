/* ---- What is asked of the driver, each operation with what must come of it ------------------------------- */

static void *queue;
static bool living; /* from the end of create to destroy */
static uint32_t notifies, callbacks;
static uint64_t tokens;
static uint32_t mark;
static uint16_t mark_used_idx; /* used_idx when the mark was made */
static bool promised, delayed, awake; /* the next used buffer interrupts; the last one does; callbacks are on */
static uint32_t longest[2];           /* chain that add took: only for the device to read; some of it to write */
static bool totals;                   /* the device has told lengths of readable bytes */

static void env_notify(void *context, uint32_t value)
{
    uint32_t index = HAS(RP_F_NOTIFICATION_DATA) ? value & 0xFFFF : value;

    (void)context;
    if (!living)
        fail("the driver notified the device before the queue was ready");
    if (index != QUEUE_INDEX)
        fail("the kick named queue %" PRIu32 ", this is queue %u", index, (unsigned)QUEUE_INDEX);
    observe();
    if (HAS(RP_F_NOTIFICATION_DATA) && value >> 16 != seen_idx)
        fail("the kick told avail_idx %" PRIu32 ", it is %u", value >> 16, (unsigned)seen_idx);
    notifies++;
    since_kick = 0;
    told_idx = seen_idx;
}

static void env_callback(void *context)
{
    (void)context;
    callbacks++;
}

/* A token came back: it must be that of the oldest used buffer. */
static struct chain *came_back(uint64_t token, uint32_t length)
{
    struct chain *chain;
    bool right;

    if (used_up.count == 0)
        fail("token %" PRIu64 " came back, though no used buffer was left to give back", token);
    chain = take(&used_up);
    right = chain->has_entry ? length == chain->length
                             : length == chain->writable || (chain->in == 0 && length == chain->length);
    if (token != chain->token)
        fail("token %" PRIu64 " came back; %" PRIu64 " was due, as the oldest used", token, chain->token);
    if (!right && !totals && !(HAS(RP_F_IN_ORDER) && !chain->has_entry))
        fail("token %" PRIu64 " came back with length %" PRIu32 "; the device wrote %" PRIu32, token, length,
             chain->length);
    delayed = false;
    return chain;
}

static void env_completed(void *context, void *token, uint32_t length)
{
    struct chain *chain = came_back((uint64_t)(uintptr_t)token, length);

    (void)context;
    chain->length = length;
    append(&pushed, chain);
}

static const struct rp_env env = {
    .abi_version = RP_ABI_VERSION,
    .size = sizeof(struct rp_env),
    .features = FEATURES,
    .queue_size = QUEUE_SIZE,
    .queue_index = QUEUE_INDEX,
    .layout = LAYOUT,
    .has_callback = HAS_CALLBACK,
    .allocate = env_allocate,
    .release = env_release,
    .allocate_private = env_allocate_private,
    .release_private = env_release_private,
    .notify = env_notify,
    .callback = env_callback,
    .completed = env_completed,
    .map = env_map,
    .unmap = env_unmap,
};

static int add(uint32_t out, uint32_t in, uint32_t seed, bool null_token)
{
    uint32_t count = out + in;
    bool empty = added.count + published.count + in_flight_count + used_up.count + pushed.count == 0;
    bool short_of_memory = failing != 0, sensible = count > 0 && !null_token;
    struct rp_segment *segments = checked(malloc((count > 0 ? count : 1) * sizeof(*segments)));
    struct chain *chain = checked(calloc(1, sizeof(*chain)));
    int answer;

    chain->token = ++tokens;
    chain->seed = seed;
    chain->out = out;
    chain->in = in;
    for (uint32_t i = 0; i < count; i++) {
        segments[i].address = (driver->traits & RP_TRAIT_MAPS) != 0 ? 0 : segment_address(seed, i);
        segments[i].data = buffers + (segment_address(seed, i) - BUFFER_ADDRESS);
        segments[i].length = segment_length(seed, i);
        segments[i].reserved = 0;
    }
    append(&added, chain); /* before: the driver may publish it and kick at once */
    answer = driver->add(queue, segments, out, in, null_token ? NULL : (void *)(uintptr_t)chain->token);
    memset(segments, RELEASED_BYTE, count * sizeof(*segments)); /* they were only lent */
    free(segments);
    if (answer == RP_OK) {
        if (!sensible)
            fail("add took %s", null_token ? "a null token" : "a chain without a segment");
        if (count > QUEUE_SIZE)
            fail("add took %" PRIu32 " segments, more than the queue has descriptors", count);
        if (count > longest[in > 0])
            longest[in > 0] = count;
        return answer;
    }
    if (added.count == 0 || added.last != chain)
        fail("add returned %d, though it published the chain", answer);
    if (added.count == 1) {
        added.first = added.last = NULL;
    } else {
        struct chain *before = added.first;

        while (before->next != chain)
            before = before->next;
        before->next = NULL;
        added.last = before;
    }
    added.count--;
    free(chain);
    if (answer != RP_EINVAL && (answer != RP_ENOSPC || !sensible))
        fail("add returned %d", answer);
    if (answer == RP_EINVAL && sensible && (count <= longest[in > 0] || (out == 1 && in == 0)))
        fail("add returned RP_EINVAL for %" PRIu32 " segments, though the queue takes such chains", count);
    if (answer == RP_ENOSPC && empty && !short_of_memory && count > QUEUE_SIZE)
        fail("add returned RP_ENOSPC for %" PRIu32 " segments, which will never fit: RP_EINVAL is the answer",
             count);
    if (answer == RP_ENOSPC && empty && !short_of_memory)
        fail("add returned RP_ENOSPC for %" PRIu32 " segments, though all %u descriptors are free", count,
             (unsigned)QUEUE_SIZE);
    return answer;
}

static void kick(void)
{
    driver->kick(queue);
    observe();
    if (added.count > 0)
        fail("after a kick %" PRIu32 " chains that were added are not published", added.count);
    if (kick_due()) {
        if (HAS(RP_F_EVENT_IDX))
            fail("no notification, though avail_idx went from %u to %u past avail_event %u", (unsigned)told_idx,
                 (unsigned)seen_idx, (unsigned)load16(used + 4 + 8 * (size_t)QUEUE_SIZE));
        fail("no notification of new entries, though used.flags is 0");
    }
    since_kick = 0;
    told_idx = seen_idx;
}

/* The driver found nothing: with callbacks on, it lets the next used buffer interrupt. */
static void idle(void)
{
    if (awake && HAS_CALLBACK && (driver->traits & RP_TRAIT_ARMS_ONCE) == 0 && used_up.count == 0)
        promised = true;
}

/* A driver that pushes had its interrupt: it handed all back, unless another interrupt is to come. */
static void drained(void)
{
    uint32_t waiting = used_up.count;
    uint16_t event = load16(avail + 4 + 2 * (size_t)QUEUE_SIZE), oldest = (uint16_t)(used_idx - waiting);

    if (waiting > 0 && (HAS(RP_F_EVENT_IDX) ? (uint16_t)(event - oldest) < waiting : (load16(avail) & 1) == 0))
        fail("the driver wants interrupts again, though %" PRIu32 " used buffers were not handed back", waiting);
    delayed = false;
    idle();
}

static int get(uint64_t *token, uint32_t *length)
{
    void *given = NULL;
    int answer = 0;

    *token = 0;
    *length = 0;
    if ((driver->traits & RP_TRAIT_PUSHES_BUFFERS) != 0) {
        if (pushed.count == 0 && driver->interrupt != NULL) {
            (void)driver->interrupt(queue);
            drained();
        }
        if (pushed.count > 0) {
            struct chain *chain = take(&pushed);

            *token = chain->token;
            *length = chain->length;
            free(chain);
            return 1;
        }
    } else {
        answer = driver->get_buf(queue, &given, length);
    }
    if (answer == 1) {
        *token = (uint64_t)(uintptr_t)given;
        free(came_back(*token, *length));
    } else if (answer == RP_EBROKEN) {
        fail("get_buf returned RP_EBROKEN, though the device keeps the rules");
    } else if (answer != 0) {
        fail("get_buf returned %d", answer);
    } else if (used_up.count > 0) {
        fail("nothing came back, though %" PRIu32 " used buffers wait, the oldest with token %" PRIu64,
             used_up.count, used_up.first->token);
    } else {
        *length = 0;
        idle();
    }
    return answer;
}

static uint32_t complete(uint32_t pick, uint32_t stride, uint32_t count, bool total, bool *due)
{
    uint32_t done = device_complete(pick, stride, count, total, due);

    totals = totals || total;
    if (done == 0)
        return 0;
    if (promised && !*due)
        fail("callbacks were on and nothing was used, yet this asks for no interrupt (used_event is %u)",
             (unsigned)load16(avail + 4 + 2 * (size_t)QUEUE_SIZE));
    if (delayed && !*due && added.count + published.count + in_flight_count == 0)
        fail("an interrupt was put off, and does not come with the last buffer in flight");
    promised = false;
    if (*due)
        delayed = false;
    return done;
}

static int detach(uint64_t *token)
{
    struct list *lists[] = {&added, &published, &used_up};
    void *given = NULL;
    int answer = driver->detach_unused(queue, &given);
    uint64_t wanted = (uint64_t)(uintptr_t)given;

    reset = true;
    *token = answer == 1 ? wanted : 0;
    if (answer == 0 && added.count + published.count + in_flight_count > 0)
        fail("nothing came back, though %" PRIu32 " buffers were never used",
             added.count + published.count + in_flight_count);
    if (answer == 0)
        return 0;
    if (answer != 1)
        fail("detach_unused returned %d", answer);
    for (uint32_t i = 0; i < in_flight_count; i++)
        if (in_flight[i]->token == wanted) {
            free(in_flight[i]);
            in_flight[i] = in_flight[--in_flight_count];
            return 1;
        }
    for (size_t i = 0; i < 3; i++)
        for (uint32_t left = lists[i]->count; left > 0; left--) {
            struct chain *chain = take(lists[i]);

            if (chain->token == wanted) {
                free(chain);
                return 1;
            }
            append(lists[i], chain);
        }
    fail("token %" PRIu64 " came back, which the driver does not hold any more", wanted);
}

static int interrupt(void)
{
    uint32_t waiting = used_up.count, before = callbacks;
    bool pushes = (driver->traits & RP_TRAIT_PUSHES_BUFFERS) != 0;
    int answer = driver->interrupt(queue);

    if (answer != 0 && answer != 1)
        fail("interrupt returned %d", answer);
    if (waiting > 0 && answer == 0)
        fail("the driver did not take the interrupt, though %" PRIu32 " buffers are used", waiting);
    if (waiting > 0 && awake && HAS_CALLBACK && !pushes && callbacks == before)
        fail("the interrupt called nobody back, though callbacks are on and %" PRIu32 " buffers are used",
             waiting);
    promised = delayed = false;
    if (pushes)
        drained();
    return answer;
}

static int enable(int (*how)(void *), bool at_once)
{
    int answer = how(queue);

    if (answer != 0 && answer != 1)
        fail("it returned %d", answer);
    if (at_once && answer == 1 && used_up.count > 0)
        fail("it saw nothing, though %" PRIu32 " buffers are used", used_up.count);
    promised = at_once && answer == 1;
    delayed = !at_once && answer == 1 && added.count + published.count + in_flight_count > 0;
    awake = at_once && answer == 1;
    return answer;
}

static int poll_mark(void)
{
    int answer = driver->poll(queue, mark);

    if (answer != 0 && answer != 1)
        fail("poll returned %d", answer);
    if (answer == 0 && mark_used_idx != used_idx)
        fail("poll saw nothing, though used_idx went from %u to %u since the mark", (unsigned)mark_used_idx,
             (unsigned)used_idx);
    promised = answer == 0 && awake && HAS_CALLBACK && used_up.count == 0;
    return answer;
}

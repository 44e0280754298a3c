/* ---- The steps, one after the other ---------------------------------------------------------------------- */

static void rounds(const struct step *step, struct result *result)
{
    for (uint32_t i = 0; i < step->count; i++) {
        bool due;

        if (add(1, 0, step->seed + i, false) != RP_OK)
            return;
        observe();
        if (!step->no_kick)
            kick();
        if (device_read(1) != 1)
            return;
        (void)complete(0, 0, 1, false, &due);
        if (get(&result->token, &result->length) != 1)
            return;
        result->status++;
    }
}

/* Whether the driver has what the step asks of it. */
static bool offered(enum operation operation)
{
    switch (operation) {
    case DISABLE_CB: return driver->disable_cb != NULL;
    case ENABLE_CB: return driver->enable_cb != NULL;
    case ENABLE_CB_DELAYED: return driver->enable_cb_delayed != NULL;
    case ENABLE_CB_PREPARE: return driver->enable_cb_prepare != NULL;
    case POLL: return driver->poll != NULL;
    case INTERRUPT: return driver->interrupt != NULL;
    case DETACH_UNUSED: return driver->detach_unused != NULL;
    default: return true;
    }
}

static void act(const struct step *step, struct result *result)
{
    bool due = false;

    switch (step->operation) {
    case ADD:
        failing = step->fail_allocation ? (step->which > 0 ? step->which : ALL) : 0;
        result->status = add(step->out, step->in, step->seed, step->null_token);
        failing = 0;
        result->token = step->null_token ? 0 : tokens;
        break;
    case KICK: kick(); break;
    case GET: result->status = get(&result->token, &result->length); break;
    case DISABLE_CB:
        driver->disable_cb(queue);
        promised = delayed = awake = false;
        break;
    case ENABLE_CB: result->status = enable(driver->enable_cb, true); break;
    case ENABLE_CB_DELAYED: result->status = enable(driver->enable_cb_delayed, false); break;
    case ENABLE_CB_PREPARE:
        mark_used_idx = used_idx;
        mark = driver->enable_cb_prepare(queue);
        result->status = (int)mark;
        promised = delayed = false;
        awake = true;
        break;
    case POLL: result->status = poll_mark(); break;
    case INTERRUPT: result->status = interrupt(); break;
    case DETACH_UNUSED: result->status = detach(&result->token); break;
    case READ: result->status = (int)device_read(step->count); break;
    case COMPLETE:
        result->status = (int)complete(step->pick, step->stride, step->count, step->total_length, &due);
        result->length = due;
        break;
    case SET_FLAGS: store_used(0, step->value & 0xFFFF, 2); break;
    case SET_AVAIL_EVENT:
        store_used(4 + 8 * (size_t)QUEUE_SIZE, (step->value + (step->relative ? load16(avail + 2) : 0)) & 0xFFFF, 2);
        break;
    case ROUNDS: rounds(step, result); break;
    }
}

/* For a driver that declares the reference's bytes: what came of each step there. */
static const struct result *expected;

static void same(const char *name, uint64_t here, uint64_t there)
{
    if (here != there)
        fail("%s is %" PRId64 ", the reference has %" PRId64, name, (int64_t)here, (int64_t)there);
}

/* A driver that declares the reference's bytes is held to each of its numbers. */
static void compare(const struct result *here, const struct result *there)
{
    same("status", (uint64_t)here->status, (uint64_t)there->status);
    same("token", here->token, there->token);
    same("length", here->length, there->length);
    same("the count of notifications", here->notifies, there->notifies);
    same("the count of callbacks", here->callbacks, there->callbacks);
    same("avail_idx", here->avail_idx, there->avail_idx);
    same("used_idx", here->used_idx, there->used_idx);
    same("avail.flags", here->avail_flags, there->avail_flags);
    same("used_event", here->used_event, there->used_event);
    if (driver->num_free != NULL)
        same("num_free", here->num_free, there->num_free);
}

/* Looks at what holds after any operation. */
static void look_around(struct result *result)
{
    observe_all();
    result->avail_idx = load16(avail + 2);
    result->used_idx = load16(used + 2);
    result->avail_flags = load16(avail);
    result->used_event = load16(avail + 4 + 2 * (size_t)QUEUE_SIZE);
    result->num_free = driver->num_free != NULL ? driver->num_free(queue) : 0;
    result->notifies = notifies;
    result->callbacks = callbacks;
    if (driver->num_free != NULL && !reset && result->num_free > QUEUE_SIZE - descriptors_held)
        fail("num_free is %" PRIu32 " in a queue of %u while chains with the device have %" PRIu32,
             result->num_free, (unsigned)QUEUE_SIZE, descriptors_held);
    if (HAS(RP_F_EVENT_IDX) && result->avail_flags != 0 && JUDGES_AVAIL_FLAGS)
        fail("avail.flags is %u, though EVENT_IDX was negotiated", (unsigned)result->avail_flags);
    if (result->avail_flags > 1)
        fail("avail.flags is %u", (unsigned)result->avail_flags);
}

static void forget(struct list *list)
{
    while (list->count > 0)
        free(take(list));
}

static bool overlap(uint64_t one, uint64_t bytes, uint64_t other, uint64_t other_bytes)
{
    return one < other + other_bytes && other < one + bytes;
}

static void create(void)
{
    struct rp_ring_parts parts = {0, 0, 0};
    uint64_t table = 16 * (uint64_t)QUEUE_SIZE, ring = 6 + 2 * (uint64_t)QUEUE_SIZE;
    int answer = driver->create(&env, &parts, &queue);

    if (answer == RP_EINVAL && !ABOUT_CREATE) {
        printf("not judged: the driver declines this queue: create returned RP_EINVAL\n");
        exit(2);
    }
    if (answer != RP_OK)
        fail("create returned %d", answer);
    desc = reach(parts.desc, table);
    avail = reach(parts.avail, ring);
    used = reach(parts.used, USED_BYTES);
    if (desc == NULL || avail == NULL || used == NULL || parts.desc % 16 != 0 || parts.avail % 2 != 0 ||
        parts.used % 4 != 0)
        fail("a part of the ring is misaligned, or not in memory that the driver holds");
    if (LAYOUT == RP_LAYOUT_LEGACY && !HAS(RP_F_VERSION_1) &&
        (parts.desc % 4096 != 0 || parts.avail != parts.desc + table ||
         parts.used != parts.desc + (table + ring + 4095) / 4096 * 4096))
        fail("the parts of the ring are not where the legacy layout has them");
    if (overlap(parts.desc, table, parts.avail, ring) || overlap(parts.avail, ring, parts.used, USED_BYTES) ||
        overlap(parts.desc, table, parts.used, USED_BYTES))
        fail("two parts of the ring lie over each other");
    memset(used_kept, 0, USED_BYTES);
    if (memcmp(used, used_kept, USED_BYTES) != 0)
        fail("the used ring is not zero");
    if (load16(avail + 2) != 0)
        fail("avail_idx is %u", (unsigned)load16(avail + 2));
    memset(owner, 0, QUEUE_SIZE * sizeof(*owner));
    seen_idx = used_idx = told_idx = 0;
    since_kick = in_order_next = 0;
    forget(&added);
    forget(&published);
    forget(&used_up);
    forget(&pushed);
    while (in_flight_count > 0)
        free(in_flight[--in_flight_count]);
    descriptors_held = 0;
    promised = awake = HAS_CALLBACK && (driver->interrupt != NULL || driver->enable_cb != NULL);
    delayed = reset = false;
    living = true;
}

static void destroy(void)
{
    driver->destroy(queue);
    living = false;
    for (size_t i = 0; i < blocks_known; i++)
        if (blocks[i].held)
            fail("%zu bytes that the driver allocated are left after destroy", blocks[i].bytes);
    if (private_held > 0 || mapped > 0)
        fail("%zu private allocations and %zu mappings are left after destroy", private_held, mapped);
}

/* Gives every buffer back. */
static void settle(void)
{
    uint64_t token;
    uint32_t length;
    bool due;

    kick();
    (void)device_read(0);
    (void)complete(0, 0, UINT32_MAX, false, &due);
    while (get(&token, &length) == 1)
        observe();
    observe_all();
}

/* How many more chains of one segment the queue takes. Each is looked at. */
static uint32_t fill(void)
{
    uint32_t count = 0;

    while (added.count + published.count + in_flight_count < QUEUE_SIZE && add(1, 0, count, false) == RP_OK) {
        observe();
        count++;
    }
    return count;
}

/* The device is reset: no buffer may be left over, as all have come back. */
static void end_of_life(void)
{
    uint64_t token;

    if (driver->detach_unused != NULL)
        (void)detach(&token);
    doing = "destroy";
    destroy();
}

int main(int count, char **arguments)
{
    uint32_t takes, took = 0;
    bool over;

    told = count > 1 && strcmp(arguments[1], "-v") == 0;
    driver = rp_driver_entry();
    if (driver->abi_version != RP_ABI_VERSION || (FEATURES & ~driver->features) != 0) {
        printf("not judged: the driver does not offer the features 0x%" PRIx64 "\n",
               (uint64_t)(FEATURES & ~driver->features));
        return 2;
    }
    arena = checked(aligned_alloc(4096, ARENA_BYTES));
    owner = checked(calloc(QUEUE_SIZE, sizeof(*owner)));
    in_flight = checked(calloc(QUEUE_SIZE, sizeof(struct chain *)));
    used_kept = checked(malloc(USED_BYTES));
    expected = driver->traits & RP_TRAIT_LINUX_3_11 ? LINUX_3_11 : driver->traits & RP_TRAIT_VIRTIO_1 ? VIRTIO_1 : NULL;
    at_step = STEPS;
    create();
    for (at_step = 0; at_step < STEPS; at_step++) {
        struct result result = {0};

        if (told) {
            place();
            printf("\n");
            fflush(stdout);
        }
        if (!offered(steps[at_step].operation)) {
            place();
            printf("not judged: the driver has no such operation\n");
            return 2;
        }
        notifies = callbacks = 0;
        act(&steps[at_step], &result);
        look_around(&result);
        if (expected != NULL)
            compare(&result, &expected[at_step]);
    }
    /* Whatever was lost on the way shows in what the queue, empty once more, still takes. */
    over = reset;
    if (over || ABOUT_DESTROY) { /* with whatever is in flight */
        doing = "destroy";
        destroy();
    } else {
        doing = "then filling the queue";
        (void)fill();
        doing = "then all buffers back";
        settle();
        doing = "then filling the empty queue";
        took = fill();
        settle();
        doing = "then detach_unused with all buffers back";
        end_of_life();
    }
    doing = "a new queue, filled";
    create();
    takes = fill();
    settle();
    doing = "then the empty queue";
    if (!over && !ABOUT_DESTROY && took != takes)
        fail("takes %" PRIu32 " chains of one segment, a new one takes %" PRIu32, took, takes);
    doing = "the new queue at its end";
    end_of_life();
    printf("ok: %zu steps on %s\n", STEPS, driver->name != NULL ? driver->name : "(unnamed)");
    return 0;
}

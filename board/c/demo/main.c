/* An image with a C main that keeps one unit by the library: its processes and its time are made
 * up here, so that every line it prints is the same in each run. */
#include "../include/sysmaster.h"

#include "image.h"

#include <stddef.h>

_Static_assert(sizeof(struct sysmaster_event) == 20, "sysmaster_event");
_Static_assert(offsetof(struct sysmaster_effect, text) == 24, "sysmaster_effect");
_Static_assert(offsetof(struct sysmaster_unit, name) == 8, "sysmaster_unit");
_Static_assert(sizeof(struct sysmaster_state) == 12, "sysmaster_state");

/* The machine: one process at a time is enough for it. */
static struct {
    uint64_t now_us;
    uint32_t last_pid;
    int runs;
    struct sysmaster_child child;
    int is_over;
    uint32_t is_locked;
    uint32_t locks;
} machine;

/* No interrupt comes while it is set. */
uint32_t sysmaster_lock(void) {
    uint32_t before = machine.is_locked;
    machine.is_locked = 1;
    machine.locks++;
    return before;
}

void sysmaster_unlock(uint32_t before) {
    machine.is_locked = before;
}

static void say(const char *text) {
    size_t count = 0;
    while (text[count] != '\0') {
        count++;
    }
    image_write(text, count);
}

static void say_number(uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    image_write(digits + at, sizeof digits - at);
}

static void say_time(void) {
    say("at ");
    say_number(machine.now_us / 1000);
    say(" ms: ");
}

static void take_effects(struct sysmaster *core);

static void tell(struct sysmaster *core, uint32_t kind, struct sysmaster_child child,
                 uint32_t number) {
    struct sysmaster_event event = {.kind = kind, .child = child, .number = number};
    if (sysmaster_step(core, &event, machine.now_us) != SYSMASTER_OK) {
        say("the event was refused\n");
    }
}

static void spawn(struct sysmaster *core, const struct sysmaster_effect *effect) {
    struct sysmaster_unit unit;
    sysmaster_unit(core, effect->child.unit, &unit);
    machine.runs = 1;
    machine.child = effect->child;
    machine.last_pid++;
    say_time();
    say("start");
    for (const char *const *argument = unit.arguments; *argument != NULL; argument++) {
        say(" ");
        say(*argument);
    }
    say(effect->number != 0 ? ", which will tell when it is ready\n" : "\n");
    tell(core, SYSMASTER_SPAWNED, effect->child, machine.last_pid);
}

static int is_ours(struct sysmaster_child child) {
    return machine.runs && child.unit == machine.child.unit &&
           child.generation == machine.child.generation && child.role == machine.child.role;
}

/* Does all that is asked; a stopped process ends at once. */
static void take_effects(struct sysmaster *core) {
    struct sysmaster_effect effect;
    int is_stopped = 0;
    while (sysmaster_next_effect(core, machine.now_us, &effect) == SYSMASTER_OK) {
        switch (effect.kind) {
        case SYSMASTER_SPAWN:
            spawn(core, &effect);
            break;
        case SYSMASTER_SIGNAL:
            say_time();
            say("signal ");
            say_number(effect.number);
            say(is_ours(effect.child) ? " to it\n" : " to nobody\n");
            is_stopped |= is_ours(effect.child);
            break;
        case SYSMASTER_SIGNAL_ALL:
            tell(core, SYSMASTER_NO_CHILD_LEFT, effect.child, 0);
            break;
        case SYSMASTER_REPLY:
            say_time();
            say("client ");
            say_number(effect.client & 0xff);
            say(effect.number == SYSMASTER_DONE ? " has it done\n" : " has it otherwise\n");
            break;
        case SYSMASTER_SAY:
            image_write(effect.text, effect.text_bytes);
            break;
        case SYSMASTER_FINISH:
            say_time();
            say(effect.number == SYSMASTER_POWER_OFF ? "off\n" : "otherwise\n");
            machine.is_over = 1;
            return;
        default:
            say("an effect that is none\n");
        }
    }
    if (is_stopped) {
        machine.runs = 0;
        tell(core, SYSMASTER_KILLED, machine.child, 15);
        take_effects(core);
    }
}

/* An interrupt says what happens; the loop finds it there. */
static void happens(struct sysmaster *core, uint32_t kind, uint32_t number) {
    struct sysmaster_event event = {.kind = kind, .child = machine.child, .number = number};
    if (kind == SYSMASTER_EXITED) {
        machine.runs = 0;
        say_time();
        say("it ends\n");
    }
    if (sysmaster_post(&event) != SYSMASTER_OK) {
        say("the interrupt was refused\n");
    }
    while (sysmaster_step_posted(core, machine.now_us) == SYSMASTER_OK) {
        take_effects(core);
    }
}

/* What is posted comes out again, and no more than there is room for. */
static int posts(struct sysmaster *core) {
    struct sysmaster_event event = {.kind = SYSMASTER_TICK};
    uint32_t posted = 0, taken = 0;
    while (posted < 100 && sysmaster_post(&event) == SYSMASTER_OK) {
        posted++;
    }
    int is_right = sysmaster_post(&event) == SYSMASTER_FULL;
    while (sysmaster_step_posted(core, 0) == SYSMASTER_OK) {
        taken++;
    }
    event.kind = 99;
    is_right &= sysmaster_post(&event) == SYSMASTER_BAD && sysmaster_post(NULL) == SYSMASTER_BAD;
    is_right &= sysmaster_step_posted(NULL, 0) == SYSMASTER_BAD;
    /* Each of them locked, but those that were refused for what they said. */
    is_right &= machine.locks == posted + 2 + taken + 1 && machine.is_locked == 0;
    return is_right && posted == SYSMASTER_POSTS && taken == posted;
}

/* Sleeps as long as the core lets it, and no longer than `until_us`. */
static void sleep_until(struct sysmaster *core, uint64_t until_us) {
    for (;;) {
        uint64_t deadline = sysmaster_next_deadline(core);
        if (deadline >= until_us) {
            break;
        }
        if (deadline > machine.now_us) {
            machine.now_us = deadline;
        }
        tell(core, SYSMASTER_TICK, machine.child, 0);
        take_effects(core);
    }
    machine.now_us = until_us;
}

static void ask(struct sysmaster *core, uint32_t kind, uint32_t client) {
    struct sysmaster_event event = {.kind = kind, .child = machine.child, .client = client};
    sysmaster_step(core, &event, machine.now_us);
    take_effects(core);
}

/* Bad input changes nothing and breaks nothing. */
static int refuses(struct sysmaster *core) {
    struct sysmaster_event event = {.kind = 99};
    struct sysmaster_unit unit;
    int is_right = sysmaster_step(core, &event, 0) == SYSMASTER_BAD;
    event.kind = SYSMASTER_READY;
    event.child.role = 3;
    is_right &= sysmaster_step(core, &event, 0) == SYSMASTER_BAD;
    event.kind = SYSMASTER_START;
    event.client = SYSMASTER_CLIENTS;
    is_right &= sysmaster_step(core, &event, 0) == SYSMASTER_BAD;
    event.client = 0;
    event.child.role = 0;
    event.child.unit = UINT16_MAX;
    is_right &= sysmaster_step(core, &event, 0) == SYSMASTER_BAD;
    event.kind = SYSMASTER_READY;
    is_right &= sysmaster_step(core, &event, 0) == SYSMASTER_BAD;
    event.child.unit = 0;
    event.kind = SYSMASTER_EXITED;
    event.number = 256;
    is_right &= sysmaster_step(core, &event, 0) == SYSMASTER_BAD;
    is_right &= sysmaster_step(NULL, &event, 0) == SYSMASTER_BAD;
    is_right &= sysmaster_step(core, NULL, 0) == SYSMASTER_BAD;
    is_right &= sysmaster_next_effect(core, 0, NULL) == SYSMASTER_BAD;
    is_right &= sysmaster_unit(core, UINT16_MAX, &unit) == SYSMASTER_NOTHING;
    is_right &= sysmaster_next_deadline(core) == SYSMASTER_NEVER;
    return is_right && sysmaster_create() == NULL;
}

int main(void) {
    struct sysmaster *core = sysmaster_create();
    if (core == NULL || sysmaster_abi() != SYSMASTER_ABI || !refuses(core) || !posts(core)) {
        say("the library is not as its header says\n");
        return 1;
    }
    say_number(sysmaster_unit_count(core));
    say(" units\n");
    sysmaster_boot(core, machine.now_us);
    take_effects(core);
    sleep_until(core, 20000);
    happens(core, SYSMASTER_READY, 0);
    sleep_until(core, 1000000);
    happens(core, SYSMASTER_EXITED, 3);
    sleep_until(core, 1110000);
    happens(core, SYSMASTER_READY, 0);
    sleep_until(core, 1200000);
    happens(core, SYSMASTER_EXITED, 3);
    sleep_until(core, 2000000);
    happens(core, SYSMASTER_READY, 0);
    struct sysmaster_state state;
    sysmaster_state(core, machine.child.unit, &state);
    say("restarts: ");
    say_number(state.restarts);
    say(state.state == SYSMASTER_ACTIVE ? ", active\n" : ", not active\n");
    sleep_until(core, 3000000);
    ask(core, SYSMASTER_STOP_UNIT, 1 | 7 << 8);
    sleep_until(core, 4000000);
    struct sysmaster_event off = {.kind = SYSMASTER_MACHINE, .number = SYSMASTER_POWER_OFF};
    sysmaster_step(core, &off, machine.now_us);
    take_effects(core);
    return machine.is_over ? 0 : 1;
}

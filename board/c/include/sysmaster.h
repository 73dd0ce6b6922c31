/* The decisions of an init, for an image with a C main. docs/embedding.md says how to link it.
 *
 * Nothing here waits, allocates, reads a clock or calls anything of the image's. Times are
 * microseconds that never go back. All functions but sysmaster_post are for one thread at a time.
 * A null pointer and a number that means nothing are answered by SYSMASTER_BAD and change nothing. */
#ifndef SYSMASTER_H
#define SYSMASTER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What sysmaster_abi() of a library for this header returns. */
#define SYSMASTER_ABI 1u

/* Results. */
#define SYSMASTER_OK 0u
#define SYSMASTER_NOTHING 1u /* There is none (any more). */
#define SYSMASTER_BAD 2u
#define SYSMASTER_FULL 3u /* No room; nothing was changed. */

/* No deadline. */
#define SYSMASTER_NEVER UINT64_MAX

/* What a process does for its unit. */
#define SYSMASTER_MAIN 0u
#define SYSMASTER_STOP 1u  /* It runs the unit's stop program. */
#define SYSMASTER_PROBE 2u /* It ends with 0 when the unit is ready, in the manifest's own way. */

/* One process that was asked for. Whole and unchanged, it names that process in events. */
struct sysmaster_child {
    uint16_t unit;
    uint16_t generation;
    uint32_t role;
};

/* What happened. Members that a kind does not name are not looked at. */
#define SYSMASTER_TICK 0u           /* Time has passed. */
#define SYSMASTER_SPAWNED 1u        /* child; number: its process, for people to read */
#define SYSMASTER_SPAWN_FAILED 2u   /* child; number: errno. It will not end. */
#define SYSMASTER_READY 3u          /* child */
#define SYSMASTER_HEARTBEAT 4u      /* child */
#define SYSMASTER_EXITED 5u         /* child; number: exit code, 0 to 255 */
#define SYSMASTER_KILLED 6u         /* child; number: the signal that ended it */
#define SYSMASTER_ORPHAN_EXITED 7u  /* A process that nobody asked for ended. */
#define SYSMASTER_NO_CHILD_LEFT 8u  /* After SYSMASTER_SIGNAL_ALL: nobody is left. */
#define SYSMASTER_MACHINE 9u        /* number: SYSMASTER_POWER_OFF, .. */
#define SYSMASTER_START 10u         /* child.unit, client: answered when it is ready or has failed */
#define SYSMASTER_STOP_UNIT 11u     /* child.unit, client: answered when it is down */
#define SYSMASTER_RESTART 12u       /* child.unit, client */
#define SYSMASTER_CLIENT_GONE 13u   /* client: it needs no answer any more */

#define SYSMASTER_POWER_OFF 0u
#define SYSMASTER_REBOOT 1u
#define SYSMASTER_HALT 2u
#define SYSMASTER_RESCUE 3u

/* A client is a number from 0 to SYSMASTER_CLIENTS - 1, and above it, shifted by 8, a count of 16
 * bits that is another one for each who has had that number. Each asks one thing at a time. */
#define SYSMASTER_CLIENTS 4u

struct sysmaster_event {
    uint32_t kind;
    struct sysmaster_child child;
    uint32_t number;
    uint32_t client;
};

/* What is to be done, in this order. */
#define SYSMASTER_SPAWN 1u      /* child; number: 1 if SYSMASTER_READY is waited for. Answer it, before
                                   the next effect is asked for, by SYSMASTER_SPAWNED (then, once, its
                                   end follows) or SYSMASTER_SPAWN_FAILED. */
#define SYSMASTER_SIGNAL 2u     /* child; number: the signal. One that is gone is no error. */
#define SYSMASTER_SIGNAL_ALL 3u /* number: the signal, to every process */
#define SYSMASTER_REPLY 4u      /* client; number: SYSMASTER_DONE, .. */
#define SYSMASTER_HANG_UP 5u    /* client */
#define SYSMASTER_SAY 6u        /* text: whole lines. Good until the next call with this core. */
#define SYSMASTER_FINISH 7u     /* number: SYSMASTER_POWER_OFF, .. Nothing follows. */

#define SYSMASTER_DONE 0u
#define SYSMASTER_BEGUN 1u
#define SYSMASTER_SUPERSEDED 2u /* A later request took its place. */
#define SYSMASTER_REFUSED 3u    /* Nothing was changed. */
#define SYSMASTER_FAILED 4u

struct sysmaster_effect {
    uint32_t kind;
    struct sysmaster_child child;
    uint32_t number;
    uint32_t client;
    uint32_t text_bytes;
    const char *text; /* Not ended by a zero. */
};

/* A unit of the manifest, whose texts last for ever. */
#define SYSMASTER_TARGET 0u
#define SYSMASTER_TASK 1u
#define SYSMASTER_SERVICE 2u

struct sysmaster_unit {
    uint32_t kind;
    uint32_t name_bytes;
    const char *name;             /* Not ended by a zero. */
    const char *program;          /* NULL: it starts nothing. */
    const char *const *arguments; /* The program's name first, NULL last. */
    const char *stop_program;
    const char *const *stop_arguments;
};

#define SYSMASTER_INACTIVE 0u
#define SYSMASTER_WAITING 1u
#define SYSMASTER_STARTING 2u
#define SYSMASTER_ACTIVE 3u
#define SYSMASTER_RESTARTING 4u
#define SYSMASTER_STOPPING 5u
#define SYSMASTER_UNIT_FAILED 6u

struct sysmaster_state {
    uint32_t state;
    uint32_t pid;      /* 0: no process. */
    uint32_t restarts; /* Since it was last started on request. */
};

/* A core. The library has one, with the tables of its product. */
struct sysmaster;

uint32_t sysmaster_abi(void);

/* The core; NULL from the second call on. */
struct sysmaster *sysmaster_create(void);

/* The machine is to come up. Once, first. Then, and after each step, take the effects. */
uint32_t sysmaster_boot(struct sysmaster *core, uint64_t now_us);
uint32_t sysmaster_step(struct sysmaster *core, const struct sysmaster_event *event,
                        uint64_t now_us);

/* For interrupts and other threads: leaves an event, which the loop takes in by the second function,
 * one at a time. There is room for SYSMASTER_POSTS; SYSMASTER_FULL is for the interrupt to deal with. */
#define SYSMASTER_POSTS 16u
uint32_t sysmaster_post(const struct sysmaster_event *event);
uint32_t sysmaster_step_posted(struct sysmaster *core, uint64_t now_us);

/* The image's own, wherever one of these two is used: between lock and unlock nobody else posts.
 * Masking interrupts does it on one processor. What lock returns is given to its unlock; they may
 * be nested. */
uint32_t sysmaster_lock(void);
void sysmaster_unlock(uint32_t before);

/* The next effect; SYSMASTER_NOTHING when all is done until something happens. */
uint32_t sysmaster_next_effect(struct sysmaster *core, uint64_t now_us,
                               struct sysmaster_effect *effect);

/* When to step with SYSMASTER_TICK at the latest. */
uint64_t sysmaster_next_deadline(const struct sysmaster *core);

uint32_t sysmaster_unit_count(const struct sysmaster *core);
uint32_t sysmaster_unit(const struct sysmaster *core, uint16_t unit, struct sysmaster_unit *info);
uint32_t sysmaster_state(const struct sysmaster *core, uint16_t unit,
                         struct sysmaster_state *state);

#ifdef __cplusplus
}
#endif

#endif

/* The image's side where there is nothing: QEMU's `virt` machine with a 64-bit ARM core. */
#include "image.h"

#include <stdint.h>

int main(void);
void image_begin(void);

char image_stack[64 * 1024] __attribute__((aligned(16)));

/* Its console. */
#define PORT ((volatile uint32_t *)0x09000000)

void image_write(const char *text, size_t count) {
    while (count-- > 0) {
        *PORT = (uint8_t)*text++;
    }
}

/* Switches the machine off: PSCI. */
static void off(void) {
    register uint64_t function __asm__("x0") = 0x84000008;
    __asm__ volatile("hvc #0" : "+r"(function));
    for (;;) {
    }
}

void image_begin(void) {
    if (main() != 0) {
        image_write("failed\n", 7);
    }
    off();
}

/* Floating point for everybody, a stack, and the above. */
__asm__(".section .text.image_start, \"ax\"\n"
        ".globl image_start\n"
        "image_start:\n"
        "    mov x0, #0x300000\n"
        "    msr cpacr_el1, x0\n"
        "    isb\n"
        "    ldr x0, =image_stack + 0x10000\n"
        "    mov sp, x0\n"
        "    b image_begin\n");

//! This file is the way from QEMU's first instruction to Rust, and from a trap to Rust and back.
//!
//! The tables at boot map the first gibibyte as devices and the second as memory, both where they
//! lie and in the upper half; the lower half is taken away as soon as the upper runs.

use core::arch::global_asm;

/// What a thread's registers are while it does not run.
#[derive(Clone)]
#[repr(C, align(16))]
pub struct Frame {
    /// The general registers, the link register last.
    pub x: [u64; 31],
    /// Its stack pointer.
    pub sp: u64,
    /// Its next instruction.
    pub pc: u64,
    /// Its flags; 0: it runs at the lowest level, with interrupts.
    pub flags: u64,
    /// Its thread pointer.
    pub tls: u64,
    fp_control: u64,
    fp_status: u64,
    unused: u64,
    q: [u128; 32],
}

const _: () = assert!(size_of::<Frame>() == 816);
const _: () = assert!(core::mem::offset_of!(Frame, q) == 304);

impl Frame {
    /// A thread that begins.
    pub const fn new(pc: u64, sp: u64, argument: u64, tls: u64) -> Self {
        let mut x = [0; 31];
        x[0] = argument;
        Self {
            x,
            sp,
            pc,
            flags: 0,
            tls,
            fp_control: 0,
            fp_status: 0,
            unused: 0,
            q: [0; 32],
        }
    }
}

global_asm!(
    r#"
    .section .text.stub_start, "ax"
    .global stub_start
stub_start:
    adrp    x0, stub_upper
    add     x0, x0, :lo12:stub_upper
    adrp    x1, stub_middle
    add     x1, x1, :lo12:stub_middle
    orr     x2, x1, #3
    str     x2, [x0]
    // 0 to 1 GiB: devices, never executed.
    movz    x2, #0x0401
    movk    x2, #0x0060, lsl #48
    str     x2, [x1]
    // 1 to 2 GiB: memory, not executed by programs.
    movz    x2, #0x0705
    movk    x2, #0x4000, lsl #16
    movk    x2, #0x0040, lsl #48
    str     x2, [x1, #8]
    dsb     sy
    msr     ttbr0_el1, x0
    msr     ttbr1_el1, x0
    mov     x2, #0xff00
    msr     mair_el1, x2
    // 48 bits below and above, pages of 4 KiB, 40 bits of physical address.
    movz    x2, #0x3510
    movk    x2, #0xb510, lsl #16
    movk    x2, #0x0002, lsl #32
    msr     tcr_el1, x2
    isb
    tlbi    vmalle1
    dsb     sy
    isb
    mrs     x2, sctlr_el1
    mov     x3, #0x1005
    orr     x2, x2, x3
    msr     sctlr_el1, x2
    isb
    ldr     x2, =stub_high
    br      x2
stub_high:
    ldr     x2, =stub_stack_end
    mov     sp, x2
    // Floating point for everybody; programs read the counter and its frequency.
    mov     x2, #0x300000
    msr     cpacr_el1, x2
    mov     x2, #2
    msr     cntkctl_el1, x2
    ldr     x2, =stub_vectors
    msr     vbar_el1, x2
    isb
    bl      stub_main
    b       stub_leave

    .balign 2048
    .global stub_vectors
stub_vectors:
    .macro  own
    .balign 128
    mov     x0, #2
    b       stub_fatal
    .endm
    .macro  programs kind
    .balign 128
    sub     sp, sp, #816
    stp     x0, x1, [sp]
    mov     x1, #\kind
    b       stub_enter
    .endm
    own
    own
    own
    own
    own
    own
    own
    own
    programs 0
    programs 1
    own
    own
    own
    own
    own
    own

stub_fatal:
    mrs     x1, esr_el1
    mrs     x2, elr_el1
    mrs     x3, far_el1
    ldr     x9, =stub_stack_end
    mov     sp, x9
    bl      stub_own_fault

stub_enter:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x9, sp_el0
    stp     x30, x9, [sp, #240]
    mrs     x9, elr_el1
    mrs     x10, spsr_el1
    stp     x9, x10, [sp, #256]
    mrs     x9, tpidr_el0
    mrs     x10, fpcr
    stp     x9, x10, [sp, #272]
    mrs     x9, fpsr
    str     x9, [sp, #288]
    stp     q0, q1, [sp, #304]
    stp     q2, q3, [sp, #336]
    stp     q4, q5, [sp, #368]
    stp     q6, q7, [sp, #400]
    stp     q8, q9, [sp, #432]
    stp     q10, q11, [sp, #464]
    stp     q12, q13, [sp, #496]
    stp     q14, q15, [sp, #528]
    stp     q16, q17, [sp, #560]
    stp     q18, q19, [sp, #592]
    stp     q20, q21, [sp, #624]
    stp     q22, q23, [sp, #656]
    stp     q24, q25, [sp, #688]
    stp     q26, q27, [sp, #720]
    stp     q28, q29, [sp, #752]
    stp     q30, q31, [sp, #784]
    mov     x0, x1
    ldr     x9, =stub_stack_end
    mov     sp, x9
    bl      stub_trap

// x0: the frame of the thread that goes on.
stub_leave:
    mov     sp, x0
    ldp     q0, q1, [sp, #304]
    ldp     q2, q3, [sp, #336]
    ldp     q4, q5, [sp, #368]
    ldp     q6, q7, [sp, #400]
    ldp     q8, q9, [sp, #432]
    ldp     q10, q11, [sp, #464]
    ldp     q12, q13, [sp, #496]
    ldp     q14, q15, [sp, #528]
    ldp     q16, q17, [sp, #560]
    ldp     q18, q19, [sp, #592]
    ldp     q20, q21, [sp, #624]
    ldp     q22, q23, [sp, #656]
    ldp     q24, q25, [sp, #688]
    ldp     q26, q27, [sp, #720]
    ldp     q28, q29, [sp, #752]
    ldp     q30, q31, [sp, #784]
    ldr     x9, [sp, #288]
    msr     fpsr, x9
    ldp     x9, x10, [sp, #272]
    msr     tpidr_el0, x9
    msr     fpcr, x10
    ldp     x9, x10, [sp, #256]
    msr     elr_el1, x9
    msr     spsr_el1, x10
    ldp     x30, x9, [sp, #240]
    msr     sp_el0, x9
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldp     x0, x1, [sp]
    add     sp, sp, #816
    eret

    .section .bss.stub_tables, "aw", @nobits
    .balign 4096
stub_upper:
    .space  4096
stub_middle:
    .space  4096
    .balign 16
    .space  65536
stub_stack_end:
"#
);

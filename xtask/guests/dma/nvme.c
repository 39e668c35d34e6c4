// SPDX-License-Identifier: GPL-2.0-only
// The least of a driver for an NVMe controller: the two admin queues, without interrupts.

#include "../guest.h"
#include "dma.h"
#include "nvme.h"

#define CONFIG_COMMAND 0x4
#define CONFIG_BAR 0x10
#define MEMORY_AND_MASTER 0x6

#define CC 0x14
#define CSTS 0x1c
#define AQA 0x24
#define ASQ 0x28
#define ACQ 0x30
#define SUBMIT_DOORBELL 0x1000
#define COMPLETE_DOORBELL 0x1004

#define ENABLE 1U
#define READY 1U
// Entries of 64 and of 16 bytes.
#define ENTRY_SIZES ((6U << 16) | (4U << 20))

#define SET_FEATURES 0x09
#define GET_FEATURES 0x0a
#define TIMESTAMP 0x0e

#define ENTRIES 64U

struct command {
    uint8_t opcode, flags;
    uint16_t id;
    uint32_t namespace;
    uint64_t unused[2];
    uint64_t page[2];
    uint32_t feature, words[5];
};

struct completion {
    uint32_t result, unused;
    uint16_t head, queue, id, status;
};

static struct command commands[ENTRIES] __attribute__((aligned(4096)));
static volatile struct completion completions[ENTRIES] __attribute__((aligned(4096)));
static unsigned int tail, head, phase, asked;

static void write32(unsigned long at, uint32_t value)
{
    asm volatile("dsb sy; str %w0, [%1]" : : "r"(value), "r"(at) : "memory");
}

static uint32_t read32(unsigned long at)
{
    uint32_t value;

    asm volatile("ldr %w0, [%1]; dsb sy" : "=r"(value) : "r"(at) : "memory");
    return value;
}

static void write64(unsigned long at, uint64_t value)
{
    write32(at, (uint32_t)value);
    write32(at + 4, (uint32_t)(value >> 32));
}

static int becomes(uint32_t ready)
{
    unsigned long from = seconds();

    while ( (read32(DMA_REGISTERS + CSTS) & READY) != ready )
        if ( seconds() - from > 10 )
            return -1;
    return 0;
}

// Whatever a guest that had it before has left.
int nvme_start(void)
{
    write32(DMA_CONFIG + CONFIG_BAR, DMA_BAR);
    write32(DMA_CONFIG + CONFIG_BAR + 4, 0);
    write32(DMA_CONFIG + CONFIG_COMMAND, MEMORY_AND_MASTER);
    write32(DMA_REGISTERS + CC, 0);
    if ( becomes(0) )
        return -1;
    memset((void *)completions, 0, sizeof(completions));
    tail = head = asked = 0;
    phase = 1;
    write32(DMA_REGISTERS + AQA, (ENTRIES - 1) | ((ENTRIES - 1) << 16));
    write64(DMA_REGISTERS + ASQ, (uint64_t)commands);
    write64(DMA_REGISTERS + ACQ, (uint64_t)completions);
    write32(DMA_REGISTERS + CC, ENABLE | ENTRY_SIZES);
    return becomes(READY);
}

static void ask(uint8_t opcode, uint64_t address)
{
    struct command *command = &commands[tail];

    memset(command, 0, sizeof(*command));
    command->opcode = opcode;
    command->id = (uint16_t)tail;
    command->page[0] = address;
    command->feature = TIMESTAMP;
    tail = (tail + 1) % ENTRIES;
    asked++;
}

void nvme_ask_write(uint64_t address)
{
    ask(GET_FEATURES, address);
}

void nvme_ask_read(uint64_t address)
{
    ask(SET_FEATURES, address);
}

void nvme_go(void)
{
    write32(DMA_REGISTERS + SUBMIT_DOORBELL, tail);
}

int nvme_wait(void)
{
    unsigned long from = seconds();
    int status = 0;

    while ( asked > 0 )
    {
        uint16_t seen = completions[head].status;

        if ( (seen & 1) != phase )
        {
            if ( seconds() - from > 60 )
                return -1;
            continue;
        }
        if ( status == 0 )
            status = seen >> 1;
        head = (head + 1) % ENTRIES;
        if ( head == 0 )
            phase ^= 1;
        asked--;
    }
    // What the device wrote before is seen by what is read from here on.
    asm volatile("dsb sy" ::: "memory");
    write32(DMA_REGISTERS + COMPLETE_DOORBELL, head);
    return status;
}

/*
 * Instructions and sites, each kept once.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "sites.h"

#include "check.h"

#include <glib.h>
#include <pthread.h>

static const char RTC[] = "rtc";

static struct insn an_insn(uint64_t pc, const char *bytes, size_t size)
{
    struct insn insn = {.row = {.pc = pc, .size = (uint8_t)size, .text = ""}};

    memcpy(insn.row.bytes, bytes, size);
    return insn;
}

static struct insn *intern_in_al_dx(uint64_t pc)
{
    struct insn insn = an_insn(pc, "\xec", 1);

    return insn_intern(&insn);
}

static struct site_key a_key(struct insn *insn, uint64_t address)
{
    return (struct site_key){.insn = insn, .region = RTC, .address = address, .size = 1};
}

static void an_instruction_is_kept_once(void)
{
    struct insn insn = an_insn(0x7c00, "\xe4\x71", 2);
    struct insn *first = insn_intern(&insn);

    CHECK(first != &insn);
    CHECK_EQ(first->row.pc, 0x7c00);
    CHECK(insn_intern(&insn) == first);
}

static void instructions_differ_by_pc_bytes_and_operand_size(void)
{
    struct insn insn = an_insn(0x7c00, "\xe5\x71", 2);
    struct insn at_other_pc = an_insn(0x7c02, "\xe5\x71", 2);
    struct insn other_bytes = an_insn(0x7c00, "\xe5\x70", 2);
    struct insn shorter = an_insn(0x7c00, "\xe5", 1);
    struct insn in_32_bit_code = insn; /* the same bytes, run in another mode */
    struct insn *all[5];

    insn.operand_size = 2;
    in_32_bit_code.operand_size = 4;
    all[0] = insn_intern(&insn);
    all[1] = insn_intern(&at_other_pc);
    all[2] = insn_intern(&other_bytes);
    all[3] = insn_intern(&shorter);
    all[4] = insn_intern(&in_32_bit_code);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned j = 0; j < i; j++) {
            CHECK(all[i] != all[j]);
        }
    }
    CHECK(insn_intern(&insn) == all[0]);
    CHECK(insn_intern(&in_32_bit_code) == all[4]);
}

/* That the second text is freed, and the first is not, is for the address sanitizer to say. */
static void the_first_text_stays(void)
{
    struct insn insn = an_insn(0x7c00, "\xe4\x71", 2);
    char *text = g_strdup("inb $0x71, %al");
    struct insn *kept;

    insn.row.text = text;
    kept = insn_intern(&insn);
    insn.row.text = g_strdup("inb $0x71, %al");
    CHECK(insn_intern(&insn) == kept);
    CHECK(kept->row.text == text);
    CHECK_STR(kept->row.text, "inb $0x71, %al");
}

static void a_site_is_made_once(void)
{
    struct insn *insn = intern_in_al_dx(0x100);
    struct site_key key = a_key(insn, 0x71);
    const struct site *site;
    bool is_new;

    site = site_find(&key, &is_new);
    CHECK(is_new);
    CHECK(site_find(&key, &is_new) == site);
    CHECK(!is_new);
    CHECK_EQ(site_count(), 1);
}

static void a_site_says_what_its_key_said(void)
{
    struct insn *insn = intern_in_al_dx(0x100);
    struct site_key key = {
        .insn = insn,
        .region = RTC,
        .address = UINT64_C(0xfffffffffee00020),
        .vcpu = 3,
        .space = SPACE_MMIO,
        .direction = DIRECTION_WRITE,
        .size = 8,
        .string = 1,
    };
    bool is_new;
    const struct site *site = site_find(&key, &is_new);

    CHECK(site->insn == &insn->row);
    CHECK_STR(site->region, "rtc");
    CHECK_EQ(site->address, UINT64_C(0xfffffffffee00020));
    CHECK_EQ(site->vcpu, 3);
    CHECK_EQ(site->space, SPACE_MMIO);
    CHECK_EQ(site->direction, DIRECTION_WRITE);
    CHECK_EQ(site->size, 8);
    CHECK_EQ(site->string, 1);
}

static void each_part_of_the_key_distinguishes(void)
{
    struct insn *insn = intern_in_al_dx(0x100);
    static const char rtc_of_another_object[] = "rtc";
    struct site_key keys[9];
    bool is_new;

    for (unsigned i = 0; i < 9; i++) {
        keys[i] = a_key(insn, 0x71);
    }
    keys[1].insn = intern_in_al_dx(0x101);
    keys[2].region = rtc_of_another_object;
    keys[3].address = 0x70;
    keys[4].vcpu = 1;
    keys[5].space = SPACE_MMIO;
    keys[6].direction = DIRECTION_WRITE;
    keys[7].size = 2;
    keys[8].string = 1;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 9; i++) {
            CHECK_EQ(site_find(&keys[0], &is_new)->id, 0); /* the instruction's last one is looked at first */
            CHECK_EQ(site_find(&keys[i], &is_new)->id, i); /* gapless, in order of first occurrence */
            CHECK_EQ(is_new, round == 0 && i > 0);
        }
    }
    CHECK_EQ(site_count(), 9);
}

static void an_instruction_is_new_with_its_first_site_only(void)
{
    struct insn *unused = intern_in_al_dx(0x100), *first = intern_in_al_dx(0x101), *second = intern_in_al_dx(0x102);
    struct site_key keys[] = {a_key(second, 1), a_key(first, 1), a_key(second, 2)};
    const struct site *sites[3];
    bool is_new;

    for (unsigned i = 0; i < 3; i++) {
        sites[i] = site_find(&keys[i], &is_new);
    }
    CHECK(sites[0]->insn_is_new);
    CHECK(sites[1]->insn_is_new);
    CHECK(!sites[2]->insn_is_new);
    /* Numbered as their first sites come: an instruction that never accesses a device takes no number. */
    CHECK_EQ(sites[0]->insn->id, 0);
    CHECK_EQ(sites[1]->insn->id, 1);
    CHECK(!unused->last);
}

#define THREADS 4
#define INSNS 20000

static pthread_barrier_t all_ready;

static void *intern_all(void *argument)
{
    struct insn **interned = argument;

    pthread_barrier_wait(&all_ready);
    for (unsigned i = 0; i < INSNS; i++) {
        struct insn insn = an_insn(i, "\xec", 1);

        insn.row.text = g_strdup("inb %dx, %al");
        interned[i] = insn_intern(&insn);
    }
    return NULL;
}

static void threads_get_the_same_instructions(void)
{
    static struct insn *interned[THREADS][INSNS];
    pthread_t threads[THREADS];

    pthread_barrier_init(&all_ready, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, intern_all, interned[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < INSNS; i++) {
        CHECK_EQ(interned[0][i]->row.pc, i);
        for (unsigned j = 1; j < THREADS; j++) {
            CHECK(interned[j][i] == interned[0][i]);
        }
    }
}

static void each_file_numbers_sites_anew(void)
{
    struct insn *insn = intern_in_al_dx(0x100);
    struct site_key low = a_key(insn, 0x70), high = a_key(insn, 0x71);
    const struct site *site;
    bool is_new;

    site_find(&low, &is_new);
    site = site_find(&high, &is_new);
    CHECK_EQ(site->id, 1);
    CHECK(site->insn == &insn->row);
    sites_begin_file();
    CHECK_EQ(site_count(), 0);
    CHECK(site_find(&high, &is_new) == site);
    CHECK(is_new);
    CHECK_EQ(site->id, 0);
    site_find(&high, &is_new);
    CHECK(!is_new);
    CHECK_EQ(site_find(&low, &is_new)->id, 1);
    CHECK(is_new);
    CHECK_EQ(site_count(), 2);
}

int main(void)
{
    RUN(an_instruction_is_kept_once);
    RUN(instructions_differ_by_pc_bytes_and_operand_size);
    RUN(the_first_text_stays);
    RUN(a_site_is_made_once);
    RUN(a_site_says_what_its_key_said);
    RUN(each_part_of_the_key_distinguishes);
    RUN(an_instruction_is_new_with_its_first_site_only);
    RUN(threads_get_the_same_instructions);
    RUN(each_file_numbers_sites_anew);
    return 0;
}

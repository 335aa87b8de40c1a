/*
 * Instructions and sites, each kept once. See sites.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "sites.h"

#include <glib.h>
#include <pthread.h>
#include <string.h>

struct site_entry {
    struct site_key key;
    struct site site;
    uint64_t file; /* the last one in which it has a number; 0: none */
};

static pthread_mutex_t insns_lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *insns; /* struct insn -> itself */
static GHashTable *sites; /* struct site_key -> struct site_entry */
static uint64_t file = 1; /* number of the file that is written to */
static uint32_t n_sites;  /* in it */
static uint32_t n_insns; /* of those that have a site */

static guint insn_hash(gconstpointer p)
{
    const struct insn *insn = p;
    uint64_t hash = insn->row.pc * 0x9e3779b97f4a7c15u;

    for (unsigned i = 0; i < insn->row.size; i++) {
        hash = (hash ^ insn->row.bytes[i]) * 0x100000001b3u;
    }
    return (guint)(hash ^ hash >> 32);
}

static gboolean insn_equal(gconstpointer a, gconstpointer b)
{
    const struct insn *x = a, *y = b;

    return x->row.pc == y->row.pc && x->row.size == y->row.size && x->operand_size == y->operand_size &&
           memcmp(x->row.bytes, y->row.bytes, x->row.size) == 0;
}

struct insn *insn_intern(const struct insn *insn)
{
    struct insn *kept;

    pthread_mutex_lock(&insns_lock);
    if (!insns) {
        insns = g_hash_table_new(insn_hash, insn_equal);
    }
    kept = g_hash_table_lookup(insns, insn);
    if (kept) {
        if (*insn->row.text) {
            g_free((char *)insn->row.text);
        }
    } else {
        kept = g_memdup2(insn, sizeof(*insn));
        g_hash_table_add(insns, kept);
    }
    pthread_mutex_unlock(&insns_lock);
    return kept;
}

static guint key_hash(gconstpointer p)
{
    const struct site_key *key = p;
    uint64_t hash = (uint64_t)(uintptr_t)key->insn * 0x9e3779b97f4a7c15u;

    hash = (hash ^ key->address) * 0x9e3779b97f4a7c15u;
    hash ^= (uint64_t)key->vcpu << 32 ^ (uint64_t)key->size << 16 ^ (uint64_t)key->direction << 8 ^ key->space;
    hash *= 0x9e3779b97f4a7c15u;
    return (guint)(hash ^ hash >> 32);
}

static bool key_matches(const struct site_key *x, const struct site_key *y)
{
    return x->insn == y->insn && x->address == y->address && x->vcpu == y->vcpu && x->direction == y->direction &&
           x->size == y->size && x->space == y->space && x->string == y->string && x->region == y->region;
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
    return key_matches(a, b);
}

/* See that the entry has a number in the file that is written to. */
static const struct site *in_file(struct site_entry *entry, bool *is_new)
{
    *is_new = entry->file != file;
    if (*is_new) {
        entry->file = file;
        entry->site.id = n_sites++;
    }
    return &entry->site;
}

const struct site *site_find(const struct site_key *key, bool *is_new)
{
    struct insn *insn = key->insn;
    struct site_entry *entry;

    if (insn->last) {
        entry = (struct site_entry *)((char *)insn->last - offsetof(struct site_entry, site));
        if (key_matches(&entry->key, key)) {
            return in_file(entry, is_new);
        }
    }
    if (!sites) {
        sites = g_hash_table_new(key_hash, key_equal);
    }
    entry = g_hash_table_lookup(sites, key);
    if (!entry) {
        entry = g_new0(struct site_entry, 1);
        entry->key = *key;
        entry->site = (struct site){
            .vcpu = key->vcpu,
            .insn = &insn->row,
            .insn_is_new = !insn->last,
            .region = key->region,
            .address = key->address,
            .space = key->space,
            .direction = key->direction,
            .size = key->size,
            .string = key->string,
        };
        if (!insn->last) {
            insn->row.id = n_insns++;
        }
        g_hash_table_insert(sites, &entry->key, entry);
    }
    insn->last = &entry->site;
    return in_file(entry, is_new);
}

size_t site_count(void)
{
    return n_sites;
}

void sites_begin_file(void)
{
    file++;
    n_sites = 0;
}

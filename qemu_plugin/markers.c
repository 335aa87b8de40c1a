/*
 * Markers. See markers.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "markers.h"

#include "numbers.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mark {
    uint64_t t_ns;
    char *text;
};

static GArray *marks; /* of struct mark, by time; NULL: none */
static guint next_mark;

static bool has_port;
static uint8_t port_space;
static uint64_t port_address;

static uint8_t gathered[MARKER_MAX];
static size_t n_gathered;

/* Bytes of the character at `text`; 1 for a byte that is none; 0 if `size` bytes are not all of it. */
static size_t character(const char *text, size_t size, bool *valid)
{
    gunichar code = g_utf8_get_char_validated(text, (gssize)size);

    *valid = code < (gunichar)-2;
    if (code == (gunichar)-2) {
        return 0;
    }
    return *valid ? (size_t)g_unichar_to_utf8(code, NULL) : 1;
}

/* How many of the `size` bytes to take, so that no character is cut. */
static size_t whole_characters(const char *text, size_t size)
{
    bool valid;

    for (size_t tail = 1; tail <= 3 && tail < size; tail++) {
        if (character(text + size - tail, tail, &valid) == 0) {
            return size - tail;
        }
    }
    return size;
}

static void add_piece(uint64_t t_ns, const char *text, size_t size)
{
    struct mark mark = {.t_ns = t_ns, .text = g_strndup(text, size)};
    guint at;

    marks = marks ? marks : g_array_new(false, false, sizeof(struct mark));
    at = marks->len;
    while (at > 0 && g_array_index(marks, struct mark, at - 1).t_ns > t_ns) {
        at--;
    }
    g_array_insert_val(marks, at, mark);
}

bool markers_add(const char *text)
{
    uint64_t t_ns;

    if (!parse_u64(&text, &t_ns) || *text != ':' || !text[1]) {
        return false;
    }
    text++;
    while (strlen(text) > MARKER_MAX) {
        size_t size = whole_characters(text, MARKER_MAX);

        add_piece(t_ns, text, size);
        text += size;
    }
    add_piece(t_ns, text, strlen(text));
    return true;
}

bool markers_set_port(const char *text)
{
    bool is_pio = g_str_has_prefix(text, "pio:");

    if (!is_pio && !g_str_has_prefix(text, "mmio:")) {
        return false;
    }
    text = strchr(text, ':') + 1;
    has_port = parse_u64(&text, &port_address) && !*text && (!is_pio || port_address <= UINT16_MAX);
    port_space = is_pio ? SPACE_PIO : SPACE_MMIO;
    return has_port;
}

const char *markers_next(uint64_t t_ns, uint64_t *due_ns)
{
    const struct mark *mark;

    if (!marks || next_mark == marks->len) {
        return NULL;
    }
    mark = &g_array_index(marks, struct mark, next_mark);
    if (mark->t_ns > t_ns) {
        return NULL;
    }
    next_mark++;
    *due_ns = mark->t_ns;
    return mark->text;
}

size_t markers_left(void)
{
    return marks ? marks->len - next_mark : 0;
}

bool markers_take(const struct site_key *key)
{
    return has_port && key->address == port_address && key->space == port_space && key->direction == DIRECTION_WRITE;
}

/* The first `size` gathered bytes, in printable form; they are gathered no more. */
static const char *take(size_t size)
{
    static char text[4 * MARKER_MAX + 1];
    char *end = text;

    for (size_t i = 0; i < size;) {
        const char *at = (const char *)gathered + i;
        bool valid;
        size_t length = character(at, size - i, &valid);

        if (!valid || (length == 1 && g_ascii_iscntrl(*at))) {
            end += sprintf(end, "\\x%02x", gathered[i]);
            i++;
            continue;
        }
        if (*at == '\\') {
            *end++ = '\\';
        }
        memcpy(end, at, length);
        end += length;
        i += length;
    }
    *end = 0;
    n_gathered -= size;
    memmove(gathered, gathered + size, n_gathered);
    return end > text ? text : NULL;
}

const char *markers_gather(uint8_t byte)
{
    if (byte == '\n' || byte == 0) {
        return take(n_gathered);
    }
    gathered[n_gathered++] = byte;
    return n_gathered == MARKER_MAX ? take(whole_characters((const char *)gathered, n_gathered)) : NULL;
}

const char *markers_rest(void)
{
    return take(n_gathered);
}

/*
 * The writer thread's side: rows into the SQLite file. The only user of <sqlite3.h>.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_TRACE_WRITER_H
#define VMDEV_TRACE_WRITER_H

#include "exit_record.h"

#include <stddef.h>

struct trace_writer;

/* How old a transaction may become; recorder.c says what a crash may lose in all. */
#define COMMIT_INTERVAL_NS 300000000u

/*
 * Open the trace at `path` for appending, or create it with the schema if the file is missing or empty.
 * Returns NULL and an allocated message in *error if that is not possible.
 */
struct trace_writer *trace_writer_open(const char *path, char **error);

/*
 * Make the file at `path`, which must not exist, and which goes on where `before` has come to: with the same facts and
 * regions, and a meta row `part`. What `before` has not committed yet it commits. Returns NULL as above.
 */
struct trace_writer *trace_writer_open_part(const char *path, struct trace_writer *before, uint64_t part, char **error);

/* Keep only the last exits, so many (0: all), and what happened between them; in the middle of a transaction some more. */
void trace_writer_keep(struct trace_writer *writer, uint64_t exits);

/*
 * Append items in order, within a transaction that is committed when it is older than the commit interval.
 * Returns false, and keeps the message for trace_writer_error(), if SQLite refuses; what was committed stays.
 */
bool trace_writer_append(struct trace_writer *writer, const struct item *items, size_t count);

/* Commit if the open transaction has reached the commit interval. */
bool trace_writer_tick(struct trace_writer *writer);

/* Set a row of the table `meta`, in the open transaction. */
bool trace_writer_meta(struct trace_writer *writer, const char *key, uint64_t value);
bool trace_writer_meta_text(struct trace_writer *writer, const char *key, const char *value);

/* The first error's message, or NULL. */
const char *trace_writer_error(const struct trace_writer *writer);

/*
 * Commit, close and free. Returns false and an allocated message in *error if something was not written: the first
 * error of this writer's life; then what was not committed before is lost.
 */
bool trace_writer_close(struct trace_writer *writer, char **error);

#endif

/*
 * What the tests of the recorder need of SQLite. All of them use one file, in the directory that ctest gives them.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_TESTS_DATABASE_H
#define VMDEV_TESTS_DATABASE_H

#include "check.h"

#include <sqlite3.h>

#define TRACE "trace.db"

static inline void remove_trace(void)
{
    unlink(TRACE);
    unlink(TRACE "-journal");
}

/* Execute SQL that must succeed. */
static inline void sql(const char *text)
{
    sqlite3 *db;

    CHECK_EQ(sqlite3_open(TRACE, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        check_failed(__FILE__, __LINE__, text, "fails: %s", sqlite3_errmsg(db));
    }
    sqlite3_close(db);
}

/* The answer to a query: columns joined by '|', rows by ' '. The next call uses the same buffer. */
static inline const char *ask(const char *query)
{
    static char answer[1024];
    size_t length = 0;
    sqlite3 *db;
    sqlite3_stmt *statement;
    int status;

    answer[0] = 0;
    CHECK_EQ(sqlite3_open_v2(TRACE, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    if (sqlite3_prepare_v2(db, query, -1, &statement, NULL) != SQLITE_OK) {
        check_failed(__FILE__, __LINE__, query, "fails: %s", sqlite3_errmsg(db));
    }
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement) && length < sizeof(answer); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);

            length += (size_t)snprintf(answer + length, sizeof(answer) - length, "%s%s",
                                       i ? "|" : length ? " " : "", text ? text : "NULL");
        }
    }
    if (status != SQLITE_DONE) {
        check_failed(__FILE__, __LINE__, query, "fails: %s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return answer;
}

#endif

// libpq, PostgreSQL's client library.
#ifndef CPOSTGRES_H
#define CPOSTGRES_H

#include <postgresql/libpq-fe.h>

// The fields of an error report: character macros, which Swift cannot see.
static const int needletail_field_severity = PG_DIAG_SEVERITY_NONLOCALIZED;
static const int needletail_field_sqlstate = PG_DIAG_SQLSTATE;
static const int needletail_field_message = PG_DIAG_MESSAGE_PRIMARY;
static const int needletail_field_detail = PG_DIAG_MESSAGE_DETAIL;
static const int needletail_field_constraint = PG_DIAG_CONSTRAINT_NAME;
static const int needletail_field_table = PG_DIAG_TABLE_NAME;
static const int needletail_field_column = PG_DIAG_COLUMN_NAME;

#endif

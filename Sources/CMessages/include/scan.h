/* The look at wire bytes that comes before protobuf-c sees them.
 *
 * libprotobuf-c follows nesting without a bound, makes an object of every two bytes, does not merge
 * what is given twice and takes any bytes for text. So nothing reaches it that this scan has not
 * passed: one walk over the bytes, without allocation (a map's keys apart), that ends at the first
 * thing that is wrong and says where it stands. */
#ifndef CMESSAGES_SCAN_H
#define CMESSAGES_SCAN_H

#include <CProtobufC.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

/* How a field's value stands on the wire. */
typedef enum messages_kind {
  MESSAGES_VARINT,
  MESSAGES_FIXED32,
  MESSAGES_FIXED64,
  MESSAGES_STRING,
  MESSAGES_BYTES,
  MESSAGES_MESSAGE,
} messages_kind;

/* How often a field may be given. */
typedef enum messages_label {
  MESSAGES_SINGULAR,
  MESSAGES_REPEATED,
  MESSAGES_MAP, /* repeated; no two entries have the same key */
} messages_label;

typedef struct messages_shape messages_shape;

typedef struct messages_field {
  const char *name;
  uint32_t number;
  uint8_t kind;                  /* messages_kind */
  uint8_t label;                 /* messages_label */
  uint8_t oneof;                 /* members of one oneof share this number, from 1; 0 = none */
  const messages_shape *message; /* of MESSAGES_MESSAGE */
} messages_field;

/* What a message type looks like on the wire. */
struct messages_shape {
  const ProtobufCMessageDescriptor *descriptor;
  const messages_field *fields; /* by number */
  uint16_t field_count;         /* at most MESSAGES_FIELDS_MAX */
  uint16_t dense_count;         /* so many of the first fields are numbered 1, 2, 3, … */
  bool has_maps;
  bool is_timestamp; /* google.protobuf.Timestamp: its range is checked too */
};

#define MESSAGES_FIELDS_MAX 256
#define MESSAGES_ONEOFS_MAX 63

/* The nesting that any limit stays below: the scan's own stack. */
#define MESSAGES_NESTING_MAX 64

/* What is wrong with the bytes. The numbers are known to Swift. */
typedef enum messages_problem {
  MESSAGES_NO_PROBLEM = 0,
  MESSAGES_TRUNCATED = 1,
  MESSAGES_VARINT_TOO_LONG = 2,
  MESSAGES_FIELD_NUMBER_INVALID = 3,
  MESSAGES_WIRE_TYPE_INVALID = 4,
  MESSAGES_WIRE_TYPE_MISMATCH = 5,
  MESSAGES_GIVEN_TWICE = 6,
  MESSAGES_NOT_UTF8 = 7,
  MESSAGES_CONTAINS_NUL = 8,
  MESSAGES_NESTED_TOO_DEEP = 9,
  MESSAGES_TOO_MANY_ELEMENTS = 10,
  MESSAGES_KEY_GIVEN_TWICE = 11,
  MESSAGES_TIME_OUT_OF_RANGE = 12,
  MESSAGES_TOO_MUCH_MEMORY = 13,
} messages_problem;

typedef struct messages_limits {
  uint32_t nesting_max;  /* messages within messages; the outermost counts as 1 */
  uint32_t elements_max; /* of all repeated fields together, packed columns apart */
  uint32_t columns_max;  /* packed, of all fields together, however many scalars each has */
} messages_limits;

/* The first thing that is wrong. */
typedef struct messages_failure {
  messages_problem problem;
  const char *path; /* in the arena: "runs[3].series[0].key"; "" = the message itself */
} messages_failure;

/* Scans `bytes` and unpacks them into `arena`.
 * Returns NULL, with `failure` filled in, when they are not to be accepted. */
ProtobufCMessage *messages_decode(const messages_shape *shape, const uint8_t *bytes, size_t count,
                                  messages_limits limits, messages_arena *arena,
                                  messages_failure *failure);

/* Only scans. */
bool messages_scan(const messages_shape *shape, const uint8_t *bytes, size_t count,
                   messages_limits limits, messages_arena *arena, messages_failure *failure);

#endif

/* The pieces of the wire format: tags, varints, lengths. */
#ifndef CMESSAGES_WIRE_H
#define CMESSAGES_WIRE_H

#include "scan.h"

typedef enum wire_type {
  WIRE_VARINT = 0,
  WIRE_FIXED64 = 1,
  WIRE_BYTES = 2,
  WIRE_FIXED32 = 5,
} wire_type;

/* protobuf-c reads tags and lengths of so many bytes. */
#define SHORT_VARINT_BYTES_MAX 5
#define VARINT_BYTES_MAX 10
#define FIELD_NUMBER_MAX UINT64_C(536870911)

typedef struct wire_value {
  const uint8_t *next;      /* behind the value; NULL = there is none, see `problem` */
  uint64_t scalar;          /* of a varint its value, of bytes their length, else 0 */
  messages_problem problem;
} wire_value;

typedef struct wire_tag {
  const uint8_t *next; /* behind the tag; NULL = there is none, see `problem` */
  uint32_t number;
  wire_type type;
  messages_problem problem;
} wire_tag;

static inline wire_value no_value(messages_problem problem) {
  return (wire_value){NULL, 0, problem};
}

static inline wire_value read_long_varint(const uint8_t *at, const uint8_t *end) {
  uint64_t value = 0;
  for (unsigned index = 0; index < VARINT_BYTES_MAX; index += 1, at += 1) {
    if (at == end) return no_value(MESSAGES_TRUNCATED);
    value |= (uint64_t)(*at & 0x7F) << (7 * index);
    if (*at >= 0x80) continue;
    /* The tenth byte holds the 64th bit alone. */
    if (index == VARINT_BYTES_MAX - 1 && *at > 1) return no_value(MESSAGES_VARINT_TOO_LONG);
    return (wire_value){at + 1, value, MESSAGES_NO_PROBLEM};
  }
  return no_value(MESSAGES_VARINT_TOO_LONG);
}

static inline wire_value read_varint(const uint8_t *at, const uint8_t *end) {
  if (at < end && *at < 0x80) return (wire_value){at + 1, *at, MESSAGES_NO_PROBLEM};
  return read_long_varint(at, end);
}

static inline wire_value read_short_varint(const uint8_t *at, const uint8_t *end) {
  wire_value value = read_varint(at, end);
  if (value.next == NULL || value.next - at <= SHORT_VARINT_BYTES_MAX) return value;
  return no_value(MESSAGES_VARINT_TOO_LONG);
}

static inline wire_tag read_tag(const uint8_t *at, const uint8_t *end) {
  wire_value value = read_short_varint(at, end);
  if (value.next == NULL) return (wire_tag){NULL, 0, 0, value.problem};
  uint64_t number = value.scalar >> 3;
  if (number == 0 || number > FIELD_NUMBER_MAX) {
    return (wire_tag){NULL, 0, 0, MESSAGES_FIELD_NUMBER_INVALID};
  }
  wire_type type = (wire_type)(value.scalar & 7);
  return (wire_tag){value.next, (uint32_t)number, type, MESSAGES_NO_PROBLEM};
}

static inline wire_value read_value(const uint8_t *at, const uint8_t *end, wire_type type) {
  size_t count = (size_t)(end - at);
  switch (type) {
    case WIRE_VARINT: return read_varint(at, end);
    case WIRE_FIXED64:
      if (count < 8) return no_value(MESSAGES_TRUNCATED);
      return (wire_value){at + 8, 0, MESSAGES_NO_PROBLEM};
    case WIRE_FIXED32:
      if (count < 4) return no_value(MESSAGES_TRUNCATED);
      return (wire_value){at + 4, 0, MESSAGES_NO_PROBLEM};
    case WIRE_BYTES: {
      wire_value length = read_short_varint(at, end);
      if (length.next == NULL) return length;
      if (length.scalar > (uint64_t)(end - length.next)) return no_value(MESSAGES_TRUNCATED);
      length.next += length.scalar;
      return length;
    }
  }
  return no_value(MESSAGES_WIRE_TYPE_INVALID); /* groups, 6 and 7 */
}

#endif

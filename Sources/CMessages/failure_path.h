/* Where in a message something stands, for people: "runs[3].series[0].key". */
#ifndef CMESSAGES_FAILURE_PATH_H
#define CMESSAGES_FAILURE_PATH_H

#include "scan.h"

/* One level of nesting: a message, and the field of it that is being looked at. */
typedef struct path_step {
  const uint8_t *begin;        /* of the message */
  const uint8_t *end;          /* of the message */
  const messages_field *field; /* NULL: none that is known */
  const uint8_t *tag;          /* of the field, in the message */
} path_step;

/* The path of `count` steps, in the arena; cut off where it gets long. */
const char *write_path(messages_arena *arena, const path_step *steps, uint32_t count);

#endif

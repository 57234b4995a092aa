/* What Swift cannot do itself when it fills protobuf-c's structs. */
#ifndef CMESSAGES_ENCODE_H
#define CMESSAGES_ENCODE_H

#include <string.h>

#include "arena.h"
#include "scan.h"

/* Makes `memory` the message of `shape` whose fields are all at their defaults: with text held as
 * bytes, every default of proto3 is zero. */
static inline void messages_begin(void *memory, const messages_shape *shape) {
  memset(memory, 0, shape->descriptor->sizeof_message);
  ((ProtobufCMessage *)memory)->descriptor = shape->descriptor;
}

/* Adds the floating-point field `number` of `width_bytes` (8 or 4) with the value −0 to the fields
 * that protobuf-c does not know and packs as they are. */
void messages_add_negative_zero(messages_arena *arena, ProtobufCMessage *message, uint32_t number,
                                size_t width_bytes);

#endif

#include "encode.h"

#include <stdlib.h>

#include "wire.h"

static void *allocate(messages_arena *arena, size_t bytes) {
  void *memory = messages_arena_allocate(arena, bytes);
  if (memory == NULL) abort();
  return memory;
}

void messages_add_negative_zero(messages_arena *arena, ProtobufCMessage *message, uint32_t number,
                                size_t width_bytes) {
  size_t count = message->n_unknown_fields;
  ProtobufCMessageUnknownField *fields = allocate(arena, (count + 1) * sizeof *fields);
  if (count > 0) memcpy(fields, message->unknown_fields, count * sizeof *fields);
  uint8_t *little_endian = allocate(arena, width_bytes);
  memset(little_endian, 0, width_bytes);
  little_endian[width_bytes - 1] = 0x80;
  ProtobufCWireType type =
      width_bytes == 8 ? PROTOBUF_C_WIRE_TYPE_64BIT : PROTOBUF_C_WIRE_TYPE_32BIT;
  fields[count] = (ProtobufCMessageUnknownField){number, type, width_bytes, little_endian};
  message->unknown_fields = fields;
  message->n_unknown_fields = (unsigned)count + 1;
}

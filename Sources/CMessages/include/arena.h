/* Memory of one decode or encode: bump allocation in chunks, given back in one go.
 *
 * Every thread has one arena, kept between uses, so that a small message costs no malloc at all.
 * Uses nest like calls: what is opened last is closed first, on the same thread. */
#ifndef CMESSAGES_ARENA_H
#define CMESSAGES_ARENA_H

#include <CProtobufC.h>
#include <stddef.h>
#include <stdint.h>

typedef struct messages_chunk messages_chunk;

typedef struct messages_arena {
  ProtobufCAllocator allocator; /* what protobuf-c is given; frees nothing */
  messages_chunk *chunk;        /* the newest; leads to the older ones */
  uint8_t *cursor;              /* the next free byte of the newest chunk */
  uint8_t *end;                 /* behind its last byte */
  size_t budget_bytes;          /* what may still be allocated */
} messages_arena;

/* Where an arena stood when a use began. */
typedef struct messages_mark {
  messages_chunk *chunk;
  uint8_t *cursor;
  size_t budget_bytes;
} messages_mark;

/* What every allocation is rounded up to, in bytes. */
#define MESSAGES_ALIGNMENT_BYTES ((size_t)16)

/* The calling thread's arena, made on its first use; NULL when there is no memory for it. */
messages_arena *messages_arena_of_thread(void);

/* Takes memory from a further chunk; use messages_arena_allocate. */
void *messages_arena_allocate_slowly(messages_arena *arena, size_t bytes);

/* Frees the chunks behind `mark`. */
void messages_arena_drop(messages_arena *arena, messages_mark mark);

/* Begins a use that may allocate `budget_bytes`; SIZE_MAX = without a bound. */
static inline messages_mark messages_arena_open(messages_arena *arena, size_t budget_bytes) {
  messages_mark mark = {arena->chunk, arena->cursor, arena->budget_bytes};
  arena->budget_bytes = budget_bytes;
  return mark;
}

/* Ends a use: all that was allocated in it is gone. */
static inline void messages_arena_close(messages_arena *arena, messages_mark mark) {
  if (arena->chunk != mark.chunk) messages_arena_drop(arena, mark);
  arena->cursor = mark.cursor;
  arena->budget_bytes = mark.budget_bytes;
}

/* Uninitialized memory, aligned for any type; NULL when the budget or the machine's memory is
 * spent. */
static inline void *messages_arena_allocate(messages_arena *arena, size_t bytes) {
  if (bytes > SIZE_MAX - MESSAGES_ALIGNMENT_BYTES) return NULL;
  size_t rounded = (bytes + MESSAGES_ALIGNMENT_BYTES - 1) & ~(MESSAGES_ALIGNMENT_BYTES - 1);
  if (rounded > arena->budget_bytes) return NULL;
  if (rounded > (size_t)(arena->end - arena->cursor)) {
    return messages_arena_allocate_slowly(arena, rounded);
  }
  void *memory = arena->cursor;
  arena->cursor += rounded;
  arena->budget_bytes -= rounded;
  return memory;
}

#endif

#include "arena.h"

#include <pthread.h>
#include <stdlib.h>

/* Kept by every thread that ever touched a message. */
#define FIRST_CHUNK_BYTES ((size_t)64 * 1024)
/* Where chunks stop doubling; a larger request gets a chunk of its own size. */
#define DOUBLING_MAX_BYTES ((size_t)1024 * 1024)

struct messages_chunk {
  _Alignas(16) messages_chunk *previous;
  size_t capacity_bytes;
  _Alignas(16) uint8_t bytes[];
};

static _Thread_local messages_arena *thread_arena;
static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;

static messages_chunk *make_chunk(messages_chunk *previous, size_t capacity_bytes) {
  if (capacity_bytes > SIZE_MAX - sizeof(messages_chunk)) return NULL;
  messages_chunk *chunk = malloc(sizeof(messages_chunk) + capacity_bytes);
  if (chunk == NULL) return NULL;
  chunk->previous = previous;
  chunk->capacity_bytes = capacity_bytes;
  return chunk;
}

static void *allocate(void *arena, size_t bytes) { return messages_arena_allocate(arena, bytes); }

static void free_nothing(void *arena, void *memory) {
  (void)arena;
  (void)memory;
}

static void free_arena(void *memory) {
  messages_arena *arena = memory;
  thread_arena = NULL;
  while (arena->chunk != NULL) {
    messages_chunk *previous = arena->chunk->previous;
    free(arena->chunk);
    arena->chunk = previous;
  }
  free(arena);
}

static void make_thread_key(void) {
  if (pthread_key_create(&thread_key, free_arena) != 0) abort();
}

static messages_arena *make_arena(void) {
  messages_arena *arena = malloc(sizeof(messages_arena));
  messages_chunk *chunk = make_chunk(NULL, FIRST_CHUNK_BYTES);
  if (arena == NULL || chunk == NULL) {
    free(arena);
    free(chunk);
    return NULL;
  }
  arena->allocator = (ProtobufCAllocator){allocate, free_nothing, arena};
  arena->chunk = chunk;
  arena->cursor = chunk->bytes;
  arena->end = chunk->bytes + chunk->capacity_bytes;
  arena->budget_bytes = 0;
  return arena;
}

messages_arena *messages_arena_of_thread(void) {
  if (thread_arena != NULL) return thread_arena;
  pthread_once(&thread_key_once, make_thread_key);
  messages_arena *arena = make_arena();
  if (arena == NULL) return NULL;
  if (pthread_setspecific(thread_key, arena) != 0) {
    free_arena(arena);
    return NULL;
  }
  thread_arena = arena;
  return arena;
}

void *messages_arena_allocate_slowly(messages_arena *arena, size_t bytes) {
  size_t capacity_bytes = arena->chunk->capacity_bytes * 2;
  if (capacity_bytes > DOUBLING_MAX_BYTES) capacity_bytes = DOUBLING_MAX_BYTES;
  if (capacity_bytes < bytes) capacity_bytes = bytes;
  messages_chunk *chunk = make_chunk(arena->chunk, capacity_bytes);
  if (chunk == NULL) return NULL;
  arena->chunk = chunk;
  arena->cursor = chunk->bytes + bytes;
  arena->end = chunk->bytes + capacity_bytes;
  arena->budget_bytes -= bytes;
  return chunk->bytes;
}

void messages_arena_drop(messages_arena *arena, messages_mark mark) {
  while (arena->chunk != mark.chunk) {
    messages_chunk *previous = arena->chunk->previous;
    free(arena->chunk);
    arena->chunk = previous;
  }
  arena->end = arena->chunk->bytes + arena->chunk->capacity_bytes;
}

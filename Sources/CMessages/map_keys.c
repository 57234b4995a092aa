#include "map_keys.h"

#include <string.h>

#include "wire.h"

/* The key of a map is a string: the generator allows no other. */
typedef struct map_key {
  const uint8_t *bytes;
  size_t count;
  const uint8_t *entry; /* the entry's tag */
} map_key;

/* The key of the entry with these contents; without one it is empty. */
static map_key read_key(const uint8_t *entry, const uint8_t *begin, const uint8_t *end) {
  map_key key = {begin, 0, entry};
  for (const uint8_t *at = begin; at < end;) {
    wire_tag tag = read_tag(at, end);
    wire_value value = read_value(tag.next, end, tag.type);
    if (tag.number == 1) {
      key.bytes = value.next - value.scalar;
      key.count = value.scalar;
    }
    at = value.next;
  }
  return key;
}

/* Fills in the keys of one map, as far as there is room, and returns how many there are. */
static size_t read_keys(uint32_t number, const uint8_t *begin, const uint8_t *end, map_key *keys) {
  size_t count = 0;
  for (const uint8_t *at = begin; at < end;) {
    wire_tag tag = read_tag(at, end);
    wire_value value = read_value(tag.next, end, tag.type);
    if (tag.number == number) {
      if (keys != NULL) keys[count] = read_key(at, value.next - value.scalar, value.next);
      count += 1;
    }
    at = value.next;
  }
  return count;
}

static int compare_keys(const map_key *left, const map_key *right) {
  size_t shorter = left->count < right->count ? left->count : right->count;
  int order = memcmp(left->bytes, right->bytes, shorter);
  if (order != 0) return order;
  return (left->count > right->count) - (left->count < right->count);
}

/* Keys by their bytes, equal ones by where they stand. */
static bool is_before(const map_key *left, const map_key *right) {
  int order = compare_keys(left, right);
  return order < 0 || (order == 0 && left->entry < right->entry);
}

static void sift_down(map_key *keys, size_t root, size_t count) {
  for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
    if (child + 1 < count && is_before(&keys[child], &keys[child + 1])) child += 1;
    if (!is_before(&keys[root], &keys[child])) return;
    map_key moved = keys[root];
    keys[root] = keys[child];
    keys[child] = moved;
    root = child;
  }
}

/* A heap sort: no recursion, no memory, and no order of keys that a peer could make slow. */
static void sort_keys(map_key *keys, size_t count) {
  for (size_t root = count / 2; root > 0; root -= 1) sift_down(keys, root - 1, count);
  for (size_t last = count; last > 1; last -= 1) {
    map_key greatest = keys[0];
    keys[0] = keys[last - 1];
    keys[last - 1] = greatest;
    sift_down(keys, 0, last - 1);
  }
}

messages_problem check_map_keys(const messages_shape *shape, const uint8_t *begin,
                                const uint8_t *end, messages_arena *arena,
                                const messages_field **field, const uint8_t **entry) {
  for (size_t index = 0; index < shape->field_count; index += 1) {
    if (shape->fields[index].label != MESSAGES_MAP) continue;
    *field = &shape->fields[index];
    size_t count = read_keys((*field)->number, begin, end, NULL);
    if (count < 2) continue;
    map_key *keys = messages_arena_allocate(arena, count * sizeof(map_key));
    if (keys == NULL) return MESSAGES_TOO_MUCH_MEMORY;
    read_keys((*field)->number, begin, end, keys);
    sort_keys(keys, count);
    for (size_t later = 1; later < count; later += 1) {
      if (compare_keys(&keys[later - 1], &keys[later]) != 0) continue;
      *entry = keys[later].entry;
      return MESSAGES_KEY_GIVEN_TWICE;
    }
  }
  return MESSAGES_NO_PROBLEM;
}

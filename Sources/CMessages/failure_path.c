#include "failure_path.h"

#include <stdio.h>

#include "wire.h"

#define PATH_BYTES ((size_t)512)

/* How many elements of the step's field came before this one. All bytes before it have been
 * scanned, so they are well formed. */
static unsigned element_index(const path_step *step) {
  unsigned index = 0;
  for (const uint8_t *at = step->begin; at < step->tag;) {
    wire_tag tag = read_tag(at, step->end);
    if (tag.next == NULL) break;
    wire_value value = read_value(tag.next, step->end, tag.type);
    if (value.next == NULL) break;
    if (tag.number == step->field->number) index += 1;
    at = value.next;
  }
  return index;
}

/* Scalars are elements of their own only when they are not packed, so theirs is the field alone. */
static bool has_index(const messages_field *field) {
  bool is_scalar = field->kind == MESSAGES_VARINT || field->kind == MESSAGES_FIXED32 ||
                   field->kind == MESSAGES_FIXED64;
  return field->label != MESSAGES_SINGULAR && !is_scalar;
}

const char *write_path(messages_arena *arena, const path_step *steps, uint32_t count) {
  char *path = messages_arena_allocate(arena, PATH_BYTES);
  if (path == NULL) return "";
  size_t used = 0;
  path[0] = '\0';
  for (uint32_t index = 0; index < count && used < PATH_BYTES; index += 1) {
    const path_step *step = &steps[index];
    if (step->field == NULL) break;
    char *rest = path + used;
    size_t room = PATH_BYTES - used;
    const char *dot = index == 0 ? "" : ".";
    const char *name = step->field->name;
    int written = has_index(step->field)
                      ? snprintf(rest, room, "%s%s[%u]", dot, name, element_index(step))
                      : snprintf(rest, room, "%s%s", dot, name);
    if (written < 0) break;
    used += (size_t)written;
  }
  return path;
}

#include "scan.h"

#include <string.h>

#include "failure_path.h"
#include "map_keys.h"
#include "utf8.h"
#include "wire.h"

/* The years 1 to 9999, as google.protobuf.Timestamp has it. */
#define SECONDS_MIN INT64_C(-62135596800)
#define SECONDS_MAX INT64_C(253402300799)
#define NANOSECONDS_MAX 999999999

typedef struct scanner {
  messages_limits limits;
  uint32_t elements; /* of repeated fields, seen so far, without packed columns */
  uint32_t columns;  /* packed, seen so far */
  messages_arena *arena;
  messages_failure *failure;
  uint32_t depth; /* of the message being scanned; the outermost is at 1 */
  path_step steps[MESSAGES_NESTING_MAX];
} scanner;

/* Which fields of one message were seen. */
typedef struct seen {
  uint64_t fields[MESSAGES_FIELDS_MAX / 64];
  uint64_t oneofs;
} seen;

static bool fail(scanner *scanner, messages_problem problem) {
  scanner->failure->problem = problem;
  scanner->failure->path = write_path(scanner->arena, scanner->steps, scanner->depth);
  return false;
}

static const messages_field *find_field(const messages_shape *shape, uint32_t number) {
  if (number - 1 < shape->dense_count) return &shape->fields[number - 1];
  size_t low = shape->dense_count, high = shape->field_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (shape->fields[middle].number < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  bool found = low < shape->field_count && shape->fields[low].number == number;
  return found ? &shape->fields[low] : NULL;
}

/* Whether so many numbers come at once; the field is not singular. */
static bool is_packed(const messages_field *field, wire_type type) {
  return type == WIRE_BYTES && (field->kind == MESSAGES_VARINT || field->kind == MESSAGES_FIXED32 ||
                                field->kind == MESSAGES_FIXED64);
}

/* Whether the field may be given once more. */
static bool admit(scanner *scanner, const messages_shape *shape, const messages_field *field,
                  wire_type type, seen *seen) {
  if (field->label != MESSAGES_SINGULAR) {
    bool is_column = is_packed(field, type);
    uint32_t *count = is_column ? &scanner->columns : &scanner->elements;
    *count += 1;
    if (*count <= (is_column ? scanner->limits.columns_max : scanner->limits.elements_max)) {
      return true;
    }
    return fail(scanner, MESSAGES_TOO_MANY_ELEMENTS);
  }
  size_t index = (size_t)(field - shape->fields);
  uint64_t bit = UINT64_C(1) << (index % 64);
  uint64_t oneof = field->oneof == 0 ? 0 : UINT64_C(1) << field->oneof;
  if ((seen->fields[index / 64] & bit) != 0 || (seen->oneofs & oneof) != 0) {
    return fail(scanner, MESSAGES_GIVEN_TWICE);
  }
  seen->fields[index / 64] |= bit;
  seen->oneofs |= oneof;
  return true;
}

static wire_type expected_wire_type(const messages_field *field) {
  switch ((messages_kind)field->kind) {
    case MESSAGES_VARINT: return WIRE_VARINT;
    case MESSAGES_FIXED32: return WIRE_FIXED32;
    case MESSAGES_FIXED64: return WIRE_FIXED64;
    case MESSAGES_STRING:
    case MESSAGES_BYTES:
    case MESSAGES_MESSAGE: break;
  }
  return WIRE_BYTES;
}

static messages_problem check_packed(const messages_field *field, const uint8_t *at,
                                     const uint8_t *end) {
  size_t count = (size_t)(end - at);
  if (field->kind == MESSAGES_FIXED32) return count % 4 == 0 ? 0 : MESSAGES_TRUNCATED;
  if (field->kind == MESSAGES_FIXED64) return count % 8 == 0 ? 0 : MESSAGES_TRUNCATED;
  while (at < end) {
    wire_value value = read_varint(at, end);
    if (value.next == NULL) return value.problem;
    at = value.next;
  }
  return MESSAGES_NO_PROBLEM;
}

static bool scan_message(scanner *scanner, const messages_shape *shape, const uint8_t *begin,
                         const uint8_t *end);

/* The contents of a length-prefixed field. */
static bool scan_contents(scanner *scanner, const messages_field *field, const uint8_t *begin,
                          const uint8_t *end) {
  messages_problem problem = MESSAGES_NO_PROBLEM;
  switch ((messages_kind)field->kind) {
    case MESSAGES_BYTES: return true;
    case MESSAGES_STRING:
      problem = messages_check_text(begin, (size_t)(end - begin));
      break;
    case MESSAGES_MESSAGE:
      return scan_message(scanner, field->message, begin, end);
    case MESSAGES_VARINT:
    case MESSAGES_FIXED32:
    case MESSAGES_FIXED64:
      problem = field->label == MESSAGES_SINGULAR ? MESSAGES_WIRE_TYPE_MISMATCH
                                                  : check_packed(field, begin, end);
      break;
  }
  return problem == MESSAGES_NO_PROBLEM || fail(scanner, problem);
}

static bool is_time(int64_t seconds, int32_t nanoseconds) {
  return seconds >= SECONDS_MIN && seconds <= SECONDS_MAX && nanoseconds >= 0 &&
         nanoseconds <= NANOSECONDS_MAX;
}

/* What holds for the message as a whole. `scanner->depth` is already that of the one around it. */
static bool check_whole(scanner *scanner, const messages_shape *shape, const path_step *step,
                        uint64_t seconds, uint64_t nanoseconds) {
  if (shape->is_timestamp && !is_time((int64_t)seconds, (int32_t)(uint32_t)nanoseconds)) {
    return fail(scanner, MESSAGES_TIME_OUT_OF_RANGE);
  }
  if (!shape->has_maps) return true;
  const messages_field *field = NULL;
  const uint8_t *entry = step->begin;
  messages_problem problem =
      check_map_keys(shape, step->begin, step->end, scanner->arena, &field, &entry);
  if (problem == MESSAGES_NO_PROBLEM) return true;
  scanner->depth += 1;
  scanner->steps[scanner->depth - 1].field = field;
  scanner->steps[scanner->depth - 1].tag = entry;
  return fail(scanner, problem);
}

static bool scan_message(scanner *scanner, const messages_shape *shape, const uint8_t *begin,
                         const uint8_t *end) {
  if (scanner->depth >= scanner->limits.nesting_max) {
    return fail(scanner, MESSAGES_NESTED_TOO_DEEP);
  }
  path_step *step = &scanner->steps[scanner->depth];
  scanner->depth += 1;
  step->begin = begin;
  step->end = end;
  seen seen = {0};
  uint64_t scalars[2] = {0, 0}; /* of the first two fields, which are a timestamp's */
  for (const uint8_t *at = begin; at < end;) {
    step->field = NULL;
    step->tag = at;
    wire_tag tag = read_tag(at, end);
    if (tag.next == NULL) return fail(scanner, tag.problem);
    const messages_field *field = find_field(shape, tag.number);
    step->field = field;
    if (field != NULL) {
      if (!admit(scanner, shape, field, tag.type, &seen)) return false;
      bool matches = tag.type == WIRE_BYTES || tag.type == expected_wire_type(field);
      if (!matches) return fail(scanner, MESSAGES_WIRE_TYPE_MISMATCH);
    }
    wire_value value = read_value(tag.next, end, tag.type);
    if (value.next == NULL) return fail(scanner, value.problem);
    if (field != NULL && tag.type == WIRE_BYTES) {
      const uint8_t *contents = value.next - value.scalar;
      if (!scan_contents(scanner, field, contents, value.next)) return false;
    } else if (tag.number <= 2) {
      scalars[tag.number - 1] = value.scalar;
    }
    at = value.next;
  }
  scanner->depth -= 1;
  return check_whole(scanner, shape, step, scalars[0], scalars[1]);
}

bool messages_scan(const messages_shape *shape, const uint8_t *bytes, size_t count,
                   messages_limits limits, messages_arena *arena, messages_failure *failure) {
  failure->problem = MESSAGES_NO_PROBLEM;
  failure->path = "";
  if (limits.nesting_max > MESSAGES_NESTING_MAX) limits.nesting_max = MESSAGES_NESTING_MAX;
  scanner scanner;
  scanner.limits = limits;
  scanner.elements = 0;
  scanner.columns = 0;
  scanner.arena = arena;
  scanner.failure = failure;
  scanner.depth = 0;
  return scan_message(&scanner, shape, bytes, bytes + count);
}

ProtobufCMessage *messages_decode(const messages_shape *shape, const uint8_t *bytes, size_t count,
                                  messages_limits limits, messages_arena *arena,
                                  messages_failure *failure) {
  if (!messages_scan(shape, bytes, count, limits, arena, failure)) return NULL;
  ProtobufCMessage *message =
      protobuf_c_message_unpack(shape->descriptor, &arena->allocator, count, bytes);
  /* Whatever else protobuf-c refuses, the scan has refused before. */
  if (message == NULL) failure->problem = MESSAGES_TOO_MUCH_MEMORY;
  return message;
}

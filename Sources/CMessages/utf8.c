#include "utf8.h"

#include <string.h>

#define EVERY_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* How many of the first bytes are ASCII other than NUL; may stop up to 7 bytes early. */
static size_t plain_prefix(const uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (count - at >= 8) {
    uint64_t word;
    memcpy(&word, bytes + at, 8);
    /* Without a high bit in it, only a zero byte borrows one when 1 is taken from every byte. */
    if (((word | (word - EVERY_BYTE(0x01))) & EVERY_BYTE(0x80)) != 0) break;
    at += 8;
  }
  return at;
}

static bool is_continuation(uint8_t byte) { return (byte & 0xC0) == 0x80; }

/* The length of the well-formed sequence at `bytes` whose first byte is not ASCII; 0 = none. */
static size_t sequence_length(const uint8_t *bytes, size_t count) {
  uint8_t first = bytes[0];
  if (first < 0xC2 || count < 2) return 0;
  uint8_t second = bytes[1];
  if (first < 0xE0) return is_continuation(second) ? 2 : 0;
  if (first < 0xF0) {
    uint8_t low = first == 0xE0 ? 0xA0 : 0x80;
    uint8_t high = first == 0xED ? 0x9F : 0xBF; /* no surrogates */
    if (count < 3 || second < low || second > high) return 0;
    return is_continuation(bytes[2]) ? 3 : 0;
  }
  if (first > 0xF4 || count < 4) return 0;
  uint8_t low = first == 0xF0 ? 0x90 : 0x80;
  uint8_t high = first == 0xF4 ? 0x8F : 0xBF;
  if (second < low || second > high) return 0;
  return is_continuation(bytes[2]) && is_continuation(bytes[3]) ? 4 : 0;
}

messages_problem messages_check_text(const uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (at < count) {
    at += plain_prefix(bytes + at, count - at);
    /* Up to the next word that may be plain. */
    for (size_t stop = count - at > 8 ? at + 8 : count; at < stop;) {
      if (bytes[at] == 0) return MESSAGES_CONTAINS_NUL;
      size_t length = bytes[at] < 0x80 ? 1 : sequence_length(bytes + at, count - at);
      if (length == 0) return MESSAGES_NOT_UTF8;
      at += length;
    }
  }
  return MESSAGES_NO_PROBLEM;
}

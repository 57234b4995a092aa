/*
 * The C side of the Artifacts target's requests: libcurl, whose calls take a variable number of
 * arguments, as functions that do not, and its callbacks, kept in C so that no Swift object is
 * reached from inside a library call.
 */
#ifndef CCURL_H
#define CCURL_H

#include <stddef.h>
#include <stdint.h>

/* A connection that is kept between requests; used by one thread at a time. */
struct ntl_http;

/* The longest ETag that is kept, with its end. */
#define NTL_ETAG_SIZE 136

/* How long a request may take. */
struct ntl_http_patience {
  int64_t connect_ms;
  /* Time in which less than a byte a second comes or goes. */
  int64_t stall_seconds;
  int64_t request_ms;
};

/* What a request came to. */
enum ntl_http_result {
  /* There is an answer, whatever its status. */
  NTL_HTTP_ANSWERED = 0,
  /* Nobody answers, or not in time; the same request may be sent again. */
  NTL_HTTP_AWAY = 1,
  /* The answer is larger than what was lent for it. */
  NTL_HTTP_TOO_LARGE = 2,
  /* The peer is not who it should be. */
  NTL_HTTP_UNTRUSTED = 3,
  /* The request cannot be sent at all. */
  NTL_HTTP_FAILED = 4
};

struct ntl_http_answer {
  int status;
  /* Bytes of the body. */
  size_t size;
  /* What Content-Length said; -1 where it said nothing. */
  int64_t content_length;
  char etag[NTL_ETAG_SIZE];
  /* Why there is no answer; as large as libcurl writes. */
  char problem[256];
};

/* Once in a process, before any other thread; 0 where it cannot be used. */
int ntl_http_prepare(void);

/* NULL where there is no memory. A CA file of NULL means the system's. */
struct ntl_http *ntl_http_new(const char *ca_file, const struct ntl_http_patience *patience);
void ntl_http_free(struct ntl_http *http);

/*
 * Sends a request and waits for its answer. The headers are lines, each ended by a newline. The
 * body is lent; the answer's body goes into `room`.
 */
enum ntl_http_result ntl_http_perform(
    struct ntl_http *http, const char *method, const char *url, const char *headers,
    const void *body, size_t body_size, void *room, size_t room_size,
    struct ntl_http_answer *answer);

#endif

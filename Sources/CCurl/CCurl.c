#include "CCurl.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct ntl_http {
  CURL *easy;
  char *ca_file;
  struct ntl_http_patience patience;
  const char *body;
  size_t body_size;
  size_t body_sent;
  char *room;
  size_t room_size;
  int is_too_large;
  struct ntl_http_answer *answer;
};

int ntl_http_prepare(void) { return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK; }

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
  struct ntl_http *http = context;
  size *= count;
  if (size > http->room_size - http->answer->size) {
    http->is_too_large = 1;
    return 0;
  }
  memcpy(http->room + http->answer->size, bytes, size);
  http->answer->size += size;
  return size;
}

static size_t give_body(char *bytes, size_t size, size_t count, void *context) {
  struct ntl_http *http = context;
  size *= count;
  size_t left = http->body_size - http->body_sent;
  if (size > left) size = left;
  memcpy(bytes, http->body + http->body_sent, size);
  http->body_sent += size;
  return size;
}

static int seek_body(void *context, curl_off_t offset, int origin) {
  struct ntl_http *http = context;
  if (origin != SEEK_SET || offset < 0 || (size_t)offset > http->body_size)
    return CURL_SEEKFUNC_FAIL;
  http->body_sent = (size_t)offset;
  return CURL_SEEKFUNC_OK;
}

static size_t take_header(char *line, size_t size, size_t count, void *context) {
  struct ntl_http *http = context;
  size *= count;
  /* A status line begins an answer: what an interim one said does not count. */
  if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) http->answer->etag[0] = 0;
  if (size > 5 && strncasecmp(line, "etag:", 5) == 0) {
    size_t start = 5, end = size;
    while (start < end && line[start] == ' ') start++;
    while (end > start && (line[end - 1] == '\r' || line[end - 1] == '\n' || line[end - 1] == ' '))
      end--;
    if (end - start < NTL_ETAG_SIZE) {
      memcpy(http->answer->etag, line + start, end - start);
      http->answer->etag[end - start] = 0;
    }
  }
  return size;
}

struct ntl_http *ntl_http_new(const char *ca_file, const struct ntl_http_patience *patience) {
  struct ntl_http *http = calloc(1, sizeof *http);
  if (http == NULL) return NULL;
  http->easy = curl_easy_init();
  http->ca_file = ca_file == NULL ? NULL : strdup(ca_file);
  http->patience = *patience;
  if (http->easy == NULL || (ca_file != NULL && http->ca_file == NULL)) {
    ntl_http_free(http);
    return NULL;
  }
  return http;
}

void ntl_http_free(struct ntl_http *http) {
  if (http == NULL) return;
  curl_easy_cleanup(http->easy);
  free(http->ca_file);
  free(http);
}

/* Sets what holds for every request; connections outlive the reset before it. */
static int configure(struct ntl_http *http) {
  CURL *easy = http->easy;
  int ok = 1;
#define SET(option, value) ok &= curl_easy_setopt(easy, option, value) == CURLE_OK
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  /* The settings alone say where bytes go, not the environment's proxies. */
  SET(CURLOPT_PROXY, "");
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  if (http->ca_file != NULL) {
    SET(CURLOPT_CAINFO, http->ca_file);
    SET(CURLOPT_CAPATH, NULL);
  }
  SET(CURLOPT_BUFFERSIZE, 256L * 1024);
  SET(CURLOPT_UPLOAD_BUFFERSIZE, 1024L * 1024);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http->patience.connect_ms);
  SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
  SET(CURLOPT_LOW_SPEED_TIME, (long)http->patience.stall_seconds);
  SET(CURLOPT_TIMEOUT_MS, (long)http->patience.request_ms);
  SET(CURLOPT_ERRORBUFFER, http->answer->problem);
  SET(CURLOPT_WRITEFUNCTION, take_body);
  SET(CURLOPT_WRITEDATA, http);
  SET(CURLOPT_HEADERFUNCTION, take_header);
  SET(CURLOPT_HEADERDATA, http);
  return ok;
}

/* Sets what the method needs. */
static int prepare_method(struct ntl_http *http, const char *method) {
  CURL *easy = http->easy;
  int ok = 1;
  if (strcmp(method, "HEAD") == 0) {
    SET(CURLOPT_NOBODY, 1L);
  } else if (strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0) {
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_CUSTOMREQUEST, method);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)http->body_size);
    SET(CURLOPT_READFUNCTION, give_body);
    SET(CURLOPT_READDATA, http);
    SET(CURLOPT_SEEKFUNCTION, seek_body);
    SET(CURLOPT_SEEKDATA, http);
  } else if (strcmp(method, "GET") != 0) {
    SET(CURLOPT_CUSTOMREQUEST, method);
  }
  return ok;
}

/* Returns the lines as a list; NULL where there is no memory. */
static struct curl_slist *header_list(const char *lines) {
  /* No header that was not signed, and no round trip before the body. */
  struct curl_slist *list = curl_slist_append(NULL, "Expect:");
  char *copy = strdup(lines);
  char *rest = copy;
  for (char *line = copy == NULL ? NULL : strsep(&rest, "\n"); line != NULL && list != NULL;
       line = strsep(&rest, "\n")) {
    if (*line == 0) continue;
    struct curl_slist *longer = curl_slist_append(list, line);
    if (longer == NULL) {
      curl_slist_free_all(list);
      list = NULL;
    } else {
      list = longer;
    }
  }
  if (copy == NULL) {
    curl_slist_free_all(list);
    list = NULL;
  }
  free(copy);
  return list;
}

static enum ntl_http_result result_of(struct ntl_http *http, CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return NTL_HTTP_ANSWERED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return NTL_HTTP_UNTRUSTED;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
      return NTL_HTTP_FAILED;
    default:
      return http->is_too_large ? NTL_HTTP_TOO_LARGE : NTL_HTTP_AWAY;
  }
}

enum ntl_http_result ntl_http_perform(
    struct ntl_http *http, const char *method, const char *url, const char *headers,
    const void *body, size_t body_size, void *room, size_t room_size,
    struct ntl_http_answer *answer) {
  memset(answer, 0, sizeof *answer);
  answer->content_length = -1;
  http->answer = answer;
  http->body = body;
  http->body_size = body_size;
  http->body_sent = 0;
  http->room = room;
  http->room_size = room_size;
  http->is_too_large = 0;
  CURL *easy = http->easy;
  curl_easy_reset(easy);
  struct curl_slist *list = header_list(headers);
  int ok = list != NULL && configure(http);
  SET(CURLOPT_URL, url);
  SET(CURLOPT_HTTPHEADER, list);
  ok &= prepare_method(http, method);
  CURLcode code = ok ? curl_easy_perform(easy) : CURLE_FAILED_INIT;
  if (code == CURLE_OK) {
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    answer->status = (int)status;
    answer->content_length = length;
  } else if (answer->problem[0] == 0) {
    strncpy(answer->problem, curl_easy_strerror(code), sizeof answer->problem - 1);
  }
  /* Nothing lent is kept, the error buffer included. */
  curl_easy_reset(easy);
  curl_slist_free_all(list);
  http->answer = NULL;
  http->body = NULL;
  http->room = NULL;
  return result_of(http, code);
}

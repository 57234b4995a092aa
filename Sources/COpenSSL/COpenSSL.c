#include "COpenSSL.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

/* ---- What every context and connection shares: made once, never changed after. ---- */

/* Longest list of application protocols, in its wire form. */
#define PROTOCOLS_MAX 256
#define TICKET_KEYS_MAX 2

struct context_state {
  uint8_t protocols[PROTOCOLS_MAX];
  unsigned protocols_length;
  struct ntl_ticket_key ticket_keys[TICKET_KEYS_MAX];
  size_t ticket_key_count;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int context_state_index = -1;
static BIO_METHOD *socket_method;

static void free_context_state(
    void *parent, void *state, CRYPTO_EX_DATA *data, int index, long arguments, void *argument) {
  (void)parent, (void)data, (void)index, (void)arguments, (void)argument;
  OPENSSL_clear_free(state, sizeof(struct context_state));
}

/* A record takes one or two. OpenSSL goes on while anything comes that is no data: a peer who sends
   key updates as fast as they are taken would keep one call busy for ever. */
#define RECEIVES_MAX 4

/* A socket BIO that never raises SIGPIPE; OpenSSL's own calls write(2). */
static int socket_read(BIO *bio, char *bytes, int size) {
  struct ntl_facts *facts = BIO_get_data(bio);
  ssize_t count;
  BIO_clear_retry_flags(bio);
  if (facts->receives_left == 0) {
    errno = EAGAIN;
    BIO_set_retry_read(bio);
    return -1;
  }
  facts->receives_left--;
  do {
    count = recv(facts->descriptor, bytes, (size_t)size, 0);
  } while (count < 0 && errno == EINTR);
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
  return (int)count;
}

static int socket_write(BIO *bio, const char *bytes, int size) {
  struct ntl_facts *facts = BIO_get_data(bio);
  ssize_t count;
  BIO_clear_retry_flags(bio);
  do {
    count = send(facts->descriptor, bytes, (size_t)size, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
  return (int)count;
}

static long socket_control(BIO *bio, int command, long number, void *argument) {
  (void)number, (void)argument;
  switch (command) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
      return 1;
    case BIO_CTRL_EOF:
      return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
      return 0;
  }
}

static void prepare_once(void) {
  context_state_index =
      CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, NULL, NULL, NULL, free_context_state);
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
  if (method != NULL) {
    BIO_meth_set_read(method, socket_read);
    BIO_meth_set_write(method, socket_write);
    BIO_meth_set_ctrl(method, socket_control);
  }
  socket_method = method;
}

static struct context_state *state_of(SSL_CTX *context) {
  return SSL_CTX_get_ex_data(context, context_state_index);
}

/* ---- Contexts ---- */

/* Refused before anything else is looked at; the selecting callback runs for offers only. */
static int require_protocol_offer(SSL *connection, int *alert, void *argument) {
  const unsigned char *extension;
  size_t length;
  (void)argument;
  if (SSL_client_hello_get0_ext(connection, TLSEXT_TYPE_application_layer_protocol_negotiation,
                                &extension, &length)) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  ERR_raise(ERR_LIB_SSL, SSL_R_NO_APPLICATION_PROTOCOL);
  return SSL_CLIENT_HELLO_ERROR;
}

static int select_protocol(SSL *connection, const unsigned char **selected, unsigned char *length,
                           const unsigned char *offered, unsigned offered_length, void *argument) {
  struct context_state *state = state_of(SSL_get_SSL_CTX(connection));
  (void)argument;
  unsigned char *match;
  if (SSL_select_next_proto(&match, length, state->protocols, state->protocols_length, offered,
                            offered_length) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *selected = match;
  return SSL_TLSEXT_ERR_OK;
}

static int prepare_ticket(EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, unsigned char *vector,
                          struct ntl_ticket_key *key, int encrypt) {
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string("key", key->authentication_key,
                                        sizeof key->authentication_key),
      OSSL_PARAM_construct_utf8_string("digest", (char *)"SHA256", 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher_key, vector, encrypt) &&
         EVP_MAC_CTX_set_params(mac, parameters);
}

/* 1: use it; 2: use it and issue a fresh one; 0: a full handshake instead; -1: failure. */
static int seal_ticket(SSL *connection, unsigned char name[16], unsigned char *vector,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt) {
  struct context_state *state = state_of(SSL_get_SSL_CTX(connection));
  if (state->ticket_key_count == 0) return 0;
  if (encrypt) {
    struct ntl_ticket_key *key = &state->ticket_keys[0];
    if (RAND_bytes(vector, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
    memcpy(name, key->name, sizeof key->name);
    return prepare_ticket(cipher, mac, vector, key, 1) ? 1 : -1;
  }
  for (size_t i = 0; i < state->ticket_key_count; i++) {
    struct ntl_ticket_key *key = &state->ticket_keys[i];
    if (CRYPTO_memcmp(name, key->name, sizeof key->name) != 0) continue;
    if (!prepare_ticket(cipher, mac, vector, key, 0)) return -1;
    return i == 0 ? 1 : 2;
  }
  return 0;
}

int ntl_context_prepare(
    SSL_CTX *context, int minimum_version, int maximum_version, const char *groups) {
  pthread_once(&once, prepare_once);
  if (context_state_index < 0 || socket_method == NULL) return 0;
  struct context_state *state = OPENSSL_zalloc(sizeof *state);
  if (state == NULL || !SSL_CTX_set_ex_data(context, context_state_index, state)) {
    OPENSSL_free(state);
    return 0;
  }
  /* A retried write may come from another address. */
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  /* One recv(2) fetches header and body, often several records. */
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  return SSL_CTX_set_min_proto_version(context, minimum_version) &&
         SSL_CTX_set_max_proto_version(context, maximum_version) &&
         SSL_CTX_set1_groups_list(context, groups) &&
         /* For TLS 1.2, which is on by setting only: forward secrecy and AEAD or nothing. */
         SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
}

static int set_protocols(SSL_CTX *context, const uint8_t *protocols, unsigned length) {
  struct context_state *state = state_of(context);
  if (length > PROTOCOLS_MAX) return 0;
  memcpy(state->protocols, protocols, length);
  state->protocols_length = length;
  return 1;
}

int ntl_context_serve(SSL_CTX *context, const uint8_t *protocols, unsigned protocols_length) {
  /* Of many connections most are idle, and those hold no record buffers; a client has few. */
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  /* A read returns behind a key update, so that no client can keep it busy with them. */
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  if (!set_protocols(context, protocols, protocols_length)) return 0;
  if (protocols_length > 0) {
    SSL_CTX_set_client_hello_cb(context, require_protocol_offer, NULL);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
  }
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  return SSL_CTX_set_max_early_data(context, 0) && SSL_CTX_set_recv_max_early_data(context, 0) &&
         SSL_CTX_set_num_tickets(context, 1) &&
         SSL_CTX_set_tlsext_ticket_key_evp_cb(context, seal_ticket);
}

int ntl_context_offer(SSL_CTX *context, const uint8_t *protocols, unsigned protocols_length) {
  if (protocols_length == 0) return 1;
  /* This one call of OpenSSL's answers 0 for success. */
  return SSL_CTX_set_alpn_protos(context, protocols, protocols_length) == 0;
}

int ntl_context_set_ticket_keys(
    SSL_CTX *context, const struct ntl_ticket_key *keys, size_t count) {
  struct context_state *state = state_of(context);
  if (count > TICKET_KEYS_MAX) return 0;
  OPENSSL_cleanse(state->ticket_keys, sizeof state->ticket_keys);
  memcpy(state->ticket_keys, keys, count * sizeof *keys);
  state->ticket_key_count = count;
  return 1;
}

int ntl_context_use(SSL_CTX *context, X509 *leaf, EVP_PKEY *key, STACK_OF(X509) *chain) {
  return SSL_CTX_use_cert_and_key(context, leaf, key, chain, 1);
}

void ntl_context_require_client(SSL_CTX *context) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

/* ---- Connections ---- */

static void observe(int is_outgoing, int version, int content_type, const void *bytes, size_t size,
                    SSL *connection, void *argument) {
  struct ntl_facts *facts = argument;
  const uint8_t *message = bytes;
  (void)version;
  if (content_type == SSL3_RT_HANDSHAKE) {
    if (is_outgoing || size == 0 || message[0] != SSL3_MT_KEY_UPDATE) return;
    facts->key_updates++;
    if (facts->key_updates_max != 0 && facts->key_updates > facts->key_updates_max) {
      /* One read takes key updates until other data comes, and hundreds fit into its buffer. */
      SSL_set_shutdown(connection, SSL_get_shutdown(connection) | SSL_RECEIVED_SHUTDOWN);
    }
  } else if (content_type == SSL3_RT_ALERT && size == 2 && message[1] != SSL_AD_CLOSE_NOTIFY) {
    if (is_outgoing) {
      facts->alert_sent = message[1];
      facts->has_alert_sent = 1;
    } else {
      facts->alert_received = message[1];
      facts->has_alert_received = 1;
    }
  }
}

static int use_socket(SSL *connection, struct ntl_facts *facts) {
  BIO *bio = BIO_new(socket_method);
  if (bio == NULL) return 0;
  BIO_set_data(bio, facts);
  BIO_set_init(bio, 1);
  SSL_set_bio(connection, bio, bio);
  return 1;
}

static int use_memory(SSL *connection) {
  BIO *incoming = BIO_new(BIO_s_mem()), *outgoing = BIO_new(BIO_s_mem());
  if (incoming == NULL || outgoing == NULL) {
    BIO_free(incoming);
    BIO_free(outgoing);
    return 0;
  }
  BIO_set_mem_eof_return(incoming, -1);
  BIO_set_mem_eof_return(outgoing, -1);
  SSL_set_bio(connection, incoming, outgoing);
  return 1;
}

SSL *ntl_connection_new(SSL_CTX *context, int descriptor, struct ntl_facts *facts) {
  SSL *connection = SSL_new(context);
  if (connection == NULL) return NULL;
  facts->descriptor = descriptor;
  if (!(descriptor < 0 ? use_memory(connection) : use_socket(connection, facts))) {
    SSL_free(connection);
    return NULL;
  }
  SSL_set_msg_callback(connection, observe);
  SSL_set_msg_callback_arg(connection, facts);
  return connection;
}

int ntl_connection_expect_host(SSL *connection, const char *name) {
  SSL_set_hostflags(connection, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(connection, name) && SSL_set_tlsext_host_name(connection, name);
}

int ntl_connection_expect_address(SSL *connection, const char *address) {
  return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), address);
}

/* Why a call gave nothing.
 *
 * The common reason, that there is nothing more to do now, is found without the thread's error
 * queue: emptying that before every read and write, as SSL_get_error asks for, costs as much as
 * the rest of a short call. A fatal error puts a connection back into its handshake. Whoever
 * reports a failure empties the queue. */
static enum ntl_step step_after(SSL *connection, struct ntl_facts *facts, int result) {
  if (!SSL_in_init(connection)) {
    if (SSL_want_read(connection) && BIO_should_read(SSL_get_rbio(connection))) {
      return NTL_WANT_READ;
    }
    if (SSL_want_write(connection) && BIO_should_write(SSL_get_wbio(connection))) {
      return NTL_WANT_WRITE;
    }
  }
  switch (SSL_get_error(connection, result)) {
    case SSL_ERROR_WANT_READ:
      return NTL_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
      return NTL_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
      return NTL_CLOSED;
    case SSL_ERROR_SYSCALL:
      facts->has_failed = 1;
      if (errno == 0 || errno == ECONNRESET || errno == EPIPE) return NTL_TRUNCATED;
      return NTL_FAILED;
    default:
      facts->has_failed = 1;
      if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        return NTL_TRUNCATED;
      }
      return NTL_FAILED;
  }
}

enum ntl_step ntl_handshake(SSL *connection, struct ntl_facts *facts) {
  ERR_clear_error();
  errno = 0;
  facts->receives_left = RECEIVES_MAX;
  int result = SSL_do_handshake(connection);
  return result == 1 ? NTL_DONE : step_after(connection, facts, result);
}

enum ntl_step ntl_read(
    SSL *connection, struct ntl_facts *facts, void *bytes, size_t size, size_t *count) {
  errno = 0;
  facts->receives_left = RECEIVES_MAX;
  int result = SSL_read_ex(connection, bytes, size, count);
  return result == 1 ? NTL_DONE : step_after(connection, facts, result);
}

enum ntl_step ntl_write(
    SSL *connection, struct ntl_facts *facts, const void *bytes, size_t size, size_t *count) {
  size_t written = 0;
  facts->receives_left = RECEIVES_MAX;
  /* A call takes one record's worth (16 KiB); what a caller has is taken as far as it goes. */
  while (written < size) {
    size_t part = 0;
    errno = 0;
    int result = SSL_write_ex(connection, (const char *)bytes + written, size - written, &part);
    if (result != 1) {
      enum ntl_step step = step_after(connection, facts, result);
      if (written > 0 && (step == NTL_WANT_READ || step == NTL_WANT_WRITE)) break;
      return step;
    }
    written += part;
  }
  *count = written;
  return NTL_DONE;
}

enum ntl_step ntl_shutdown(SSL *connection, struct ntl_facts *facts) {
  /* Nothing to say before the handshake's end or after a fatal alert. */
  if (facts->has_failed || SSL_in_init(connection)) return NTL_DONE;
  ERR_clear_error();
  errno = 0;
  facts->receives_left = RECEIVES_MAX;
  int result = SSL_shutdown(connection);
  if (result >= 0) return NTL_DONE;
  enum ntl_step step = step_after(connection, facts, result);
  return step == NTL_TRUNCATED || step == NTL_CLOSED ? NTL_DONE : step;
}

/* ---- Memory connections ---- */

int ntl_memory_receive(SSL *connection, const void *bytes, size_t size) {
  size_t written = 0;
  return BIO_write_ex(SSL_get_rbio(connection), bytes, size, &written) && written == size;
}

void ntl_memory_receive_end(SSL *connection) {
  BIO_set_mem_eof_return(SSL_get_rbio(connection), 0);
}

size_t ntl_memory_pending(SSL *connection) { return BIO_ctrl_pending(SSL_get_wbio(connection)); }

size_t ntl_memory_take(SSL *connection, void *bytes, size_t size) {
  size_t count = 0;
  return BIO_read_ex(SSL_get_wbio(connection), bytes, size, &count) ? count : 0;
}

/*
 * The C side of the TLS target: OpenSSL's macros as functions, and the callbacks that OpenSSL
 * calls on its own, kept in C so that no Swift object is reached from inside a library call.
 */
#ifndef COPENSSL_H
#define COPENSSL_H

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <stdint.h>

/* What one step of a connection came to. */
enum ntl_step {
  NTL_DONE = 0,
  NTL_WANT_READ = 1,
  NTL_WANT_WRITE = 2,
  /* The peer said close_notify. */
  NTL_CLOSED = 3,
  /* The stream ended without close_notify, or the connection was reset. */
  NTL_TRUNCATED = 4,
  /* The reason is in the error queue, in the verify result, or in errno. */
  NTL_FAILED = 5
};

/* What a connection remembers beside OpenSSL's own state; owned by the connection. */
struct ntl_facts {
  uint32_t key_updates;
  /* Nothing is read behind one more key update than that; 0 sets no bound. */
  uint32_t key_updates_max;
  int32_t descriptor;
  /* How often the socket may still be read before the call under way returns. */
  uint8_t receives_left;
  uint8_t alert_sent;
  uint8_t alert_received;
  uint8_t has_alert_sent : 1;
  uint8_t has_alert_received : 1;
  /* After a fatal error OpenSSL must not be asked to shut down. */
  uint8_t has_failed : 1;
};

/* One generation of the secret that seals session tickets. */
struct ntl_ticket_key {
  uint8_t name[16];
  uint8_t cipher_key[32];
  uint8_t authentication_key[32];
};

/* Contexts. Each returns 1, or 0 with the reason in the error queue. */
int ntl_context_prepare(
    SSL_CTX *context, int minimum_version, int maximum_version, const char *groups);
int ntl_context_serve(SSL_CTX *context, const uint8_t *protocols, unsigned protocols_length);
int ntl_context_offer(SSL_CTX *context, const uint8_t *protocols, unsigned protocols_length);
int ntl_context_set_ticket_keys(SSL_CTX *context, const struct ntl_ticket_key *keys, size_t count);
int ntl_context_use(SSL_CTX *context, X509 *leaf, EVP_PKEY *key, STACK_OF(X509) *chain);
void ntl_context_require_client(SSL_CTX *context);

/*
 * Connections. The socket is borrowed, never closed; a negative descriptor means memory instead.
 * The facts must outlive the connection.
 */
SSL *ntl_connection_new(SSL_CTX *context, int descriptor, struct ntl_facts *facts);
int ntl_connection_expect_host(SSL *connection, const char *name);
int ntl_connection_expect_address(SSL *connection, const char *address);
enum ntl_step ntl_handshake(SSL *connection, struct ntl_facts *facts);
enum ntl_step ntl_read(
    SSL *connection, struct ntl_facts *facts, void *bytes, size_t size, size_t *count);
enum ntl_step ntl_write(
    SSL *connection, struct ntl_facts *facts, const void *bytes, size_t size, size_t *count);
enum ntl_step ntl_shutdown(SSL *connection, struct ntl_facts *facts);

/* Memory connections: what arrived, that no more will arrive, what is to be sent. */
int ntl_memory_receive(SSL *connection, const void *bytes, size_t size);
void ntl_memory_receive_end(SSL *connection);
size_t ntl_memory_pending(SSL *connection);
size_t ntl_memory_take(SSL *connection, void *bytes, size_t size);

/* Certificates. */
STACK_OF(X509) *ntl_chain_new(void);
int ntl_chain_push(STACK_OF(X509) *chain, X509 *certificate);
void ntl_chain_free(STACK_OF(X509) *chain);
int ntl_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value);
EVP_PKEY *ntl_new_p256_key(void);
EVP_PKEY *ntl_read_private_key(BIO *source);
BIO *ntl_memory_bio(const void *bytes, size_t size);
size_t ntl_bio_contents(BIO *bio, const uint8_t **bytes);
int ntl_is_encrypted_key_error(unsigned long code);
int ntl_is_end_of_pem(unsigned long code);
/* The subject in one line ("CN = name, O = organization"); freed by ntl_free. */
char *ntl_subject(const X509 *certificate);
/* The alternative names, one a line ("DNS:a", "IP:1.2.3.4", "URI:b"); freed by ntl_free. */
char *ntl_alternative_names(const X509 *certificate);
char *ntl_time_text(const ASN1_TIME *time);
void ntl_free(void *memory);

/* Digests, with contexts kept per thread. */
int ntl_sha256(const void *bytes, size_t size, uint8_t digest[32]);
EVP_MD_CTX *ntl_sha256_begin(void);
int ntl_scrypt(
    const void *password, size_t password_size, const void *salt, size_t salt_size, uint64_t n,
    uint64_t r, uint64_t p, uint64_t memory_max, void *key, size_t key_size);
int ntl_hmac_sha256(
    const void *key, size_t key_size, const void *bytes, size_t size, uint8_t code[32]);

#endif

#include "COpenSSL.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static pthread_key_t context_key;

static void free_context(void *context) { EVP_MD_CTX_free(context); }

static void prepare_once(void) {
  sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
  pthread_key_create(&context_key, free_context);
}

int ntl_sha256(const void *bytes, size_t size, uint8_t digest[32]) {
  pthread_once(&once, prepare_once);
  EVP_MD_CTX *context = pthread_getspecific(context_key);
  if (context == NULL) {
    context = EVP_MD_CTX_new();
    if (context == NULL || pthread_setspecific(context_key, context) != 0) {
      EVP_MD_CTX_free(context);
      return 0;
    }
  }
  return EVP_DigestInit_ex2(context, sha256, NULL) && EVP_DigestUpdate(context, bytes, size) &&
         EVP_DigestFinal_ex(context, digest, NULL);
}

EVP_MD_CTX *ntl_sha256_begin(void) {
  pthread_once(&once, prepare_once);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (context != NULL && EVP_DigestInit_ex2(context, sha256, NULL) != 1) {
    EVP_MD_CTX_free(context);
    return NULL;
  }
  return context;
}

int ntl_scrypt(
    const void *password, size_t password_size, const void *salt, size_t salt_size, uint64_t n,
    uint64_t r, uint64_t p, uint64_t memory_max, void *key, size_t key_size) {
  return EVP_PBE_scrypt(
      password, password_size, salt, salt_size, n, r, p, memory_max, key, key_size);
}

int ntl_hmac_sha256(
    const void *key, size_t key_size, const void *bytes, size_t size, uint8_t code[32]) {
  unsigned length = 0;
  return key_size <= INT32_MAX &&
         HMAC(EVP_sha256(), key, (int)key_size, bytes, size, code, &length) != NULL &&
         length == 32;
}

#include "COpenSSL.h"

#include <arpa/inet.h>

STACK_OF(X509) *ntl_chain_new(void) { return sk_X509_new_null(); }

int ntl_chain_push(STACK_OF(X509) *chain, X509 *certificate) {
  if (!X509_up_ref(certificate)) return 0;
  if (sk_X509_push(chain, certificate) > 0) return 1;
  X509_free(certificate);
  return 0;
}

void ntl_chain_free(STACK_OF(X509) *chain) { sk_X509_pop_free(chain, X509_free); }

int ntl_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  if (extension == NULL) return 0;
  int added = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return added;
}

EVP_PKEY *ntl_new_p256_key(void) { return EVP_EC_gen("P-256"); }

/* Never asks on the terminal: a server's key carries no pass phrase. */
static int refuse_pass_phrase(char *buffer, int size, int is_writing, void *argument) {
  (void)buffer, (void)size, (void)is_writing, (void)argument;
  return -1;
}

EVP_PKEY *ntl_read_private_key(BIO *source) {
  return PEM_read_bio_PrivateKey(source, NULL, refuse_pass_phrase, NULL);
}

BIO *ntl_memory_bio(const void *bytes, size_t size) {
  return size > INT32_MAX ? NULL : BIO_new_mem_buf(bytes, (int)size);
}

size_t ntl_bio_contents(BIO *bio, const uint8_t **bytes) {
  char *start = NULL;
  long size = BIO_get_mem_data(bio, &start);
  *bytes = (const uint8_t *)start;
  return size < 0 ? 0 : (size_t)size;
}

int ntl_is_encrypted_key_error(unsigned long code) {
  int library = ERR_GET_LIB(code), reason = ERR_GET_REASON(code);
  return (library == ERR_LIB_PEM && reason == PEM_R_BAD_PASSWORD_READ) ||
         (library == ERR_LIB_PEM && reason == PEM_R_PROBLEMS_GETTING_PASSWORD) ||
         (library == ERR_LIB_CRYPTO && reason == ERR_R_INTERRUPTED_OR_CANCELLED);
}

int ntl_is_end_of_pem(unsigned long code) {
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static void append_name(BIO *text, GENERAL_NAME *name) {
  int type = 0;
  const void *value = GENERAL_NAME_get0_value(name, &type);
  if (type == GEN_DNS || type == GEN_URI || type == GEN_EMAIL) {
    const char *label = type == GEN_DNS ? "DNS" : type == GEN_URI ? "URI" : "email";
    const unsigned char *bytes = ASN1_STRING_get0_data(value);
    int length = ASN1_STRING_length(value);
    /* A name with a control character would forge another line; it is left out. */
    for (int i = 0; i < length; i++) {
      if (bytes[i] < 0x20 || bytes[i] > 0x7e) return;
    }
    BIO_printf(text, "%s:%.*s\n", label, length, (const char *)bytes);
  } else if (type == GEN_IPADD) {
    char address[INET6_ADDRSTRLEN];
    int family = ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6;
    if (family == AF_INET6 && ASN1_STRING_length(value) != 16) return;
    inet_ntop(family, ASN1_STRING_get0_data(value), address, sizeof address);
    BIO_printf(text, "IP:%s\n", address);
  }
}

static char *text_of(BIO *bio) {
  char *start = NULL;
  long size = BIO_get_mem_data(bio, &start);
  char *text = OPENSSL_strndup(start == NULL ? "" : start, size < 0 ? 0 : (size_t)size);
  BIO_free(bio);
  return text;
}

char *ntl_subject(const X509 *certificate) {
  BIO *text = BIO_new(BIO_s_mem());
  if (text == NULL) return NULL;
  X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0,
                     XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  return text_of(text);
}

char *ntl_alternative_names(const X509 *certificate) {
  BIO *text = BIO_new(BIO_s_mem());
  if (text == NULL) return NULL;
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    append_name(text, sk_GENERAL_NAME_value(names, i));
  }
  GENERAL_NAMES_free(names);
  return text_of(text);
}

char *ntl_time_text(const ASN1_TIME *time) {
  BIO *text = BIO_new(BIO_s_mem());
  if (text == NULL) return NULL;
  ASN1_TIME_print_ex(text, time, ASN1_DTFLGS_ISO8601);
  return text_of(text);
}

void ntl_free(void *memory) { OPENSSL_free(memory); }

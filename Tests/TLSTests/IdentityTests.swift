import TLS
import Testing

@Suite("A server's pair")
struct IdentityTests {
  private func load(chain: [UInt8], key: [UInt8]) throws(TLSError) {
    _ = try TLSContext(
      server: ServerIdentity(certificateChainPEM: chain, privateKeyPEM: key),
      settings: TLSSettings(applicationProtocols: ["needletail/1"]))
  }

  private func error(chain: [UInt8], key: [UInt8]) -> TLSError? {
    do { try load(chain: chain, key: key) } catch { return error }
    return nil
  }

  @Test("is refused when the key belongs to another certificate")
  func mismatch() throws {
    let authority = try TestAuthority()
    let (one, two) = (try authority.identity(), try authority.identity())
    #expect(
      error(chain: one.certificateChainPEM, key: two.privateKeyPEM)
        == TLSError(
          .keyMismatch,
          "the private key does not belong to the certificate of CN = needletail server"))
  }

  @Test("is refused when a certificate of the chain has expired, with name and date")
  func expired() throws {
    let authority = try TestAuthority()
    let old = try authority.identity(
      validity: CertificateValidity(beginSeconds: -7200, endSeconds: -60))
    let found = try #require(error(chain: old.certificateChainPEM, key: old.privateKeyPEM))
    #expect(found.reason == .certificateExpired)
    #expect(found.detail.hasPrefix("the certificate of CN = needletail server expired on 2"))
    let new = try authority.identity()
    let chain = new.certificateChainPEM + old.certificateChainPEM
    #expect(error(chain: chain, key: new.privateKeyPEM)?.reason == .certificateExpired)
  }

  @Test("is refused when the certificate begins in the future")
  func future() throws {
    let authority = try TestAuthority()
    let early = try authority.identity(
      validity: CertificateValidity(beginSeconds: 7200, endSeconds: 9000))
    let found = error(chain: early.certificateChainPEM, key: early.privateKeyPEM)
    #expect(found?.reason == .certificateNotYetValid)
  }

  @Test("is refused when the certificate is no PEM", arguments: ["", "garbage", "-----BEGIN"])
  func garbageCertificate(text: String) throws {
    let identity = try TestAuthority().identity()
    let found = error(chain: Array(text.utf8), key: identity.privateKeyPEM)
    #expect(found?.reason == .certificateUnreadable)
    #expect(found?.detail.hasPrefix("the certificate chain cannot be read: ") == true)
  }

  @Test("is refused when the certificate is cut short")
  func truncatedCertificate() throws {
    let identity = try TestAuthority().identity()
    let chain = identity.certificateChainPEM
    for cut in [chain.dropLast(30), chain[...] + chain.dropLast(40)] {
      let found = error(chain: Array(cut), key: identity.privateKeyPEM)
      #expect(found?.reason == .certificateUnreadable)
    }
  }

  @Test("is refused when the key is no PEM", arguments: ["", "garbage"])
  func garbageKey(text: String) throws {
    let identity = try TestAuthority().identity()
    let found = error(chain: identity.certificateChainPEM, key: Array(text.utf8))
    #expect(found?.reason == .keyUnreadable)
    #expect(found?.detail.hasPrefix("the private key cannot be read: ") == true)
  }

  @Test("is refused when the key is protected by a pass phrase", arguments: encryptedKeys)
  func encryptedKey(pem: String) throws {
    let identity = try TestAuthority().identity()
    #expect(
      error(chain: identity.certificateChainPEM, key: Array(pem.utf8))
        == TLSError(
          .keyEncrypted, "the private key is protected by a pass phrase; it must be stored without")
    )
  }

  @Test("is refused with settings that OpenSSL does not know")
  func settings() throws {
    let authority = try TestAuthority()
    #expect(throws: TLSError.self) {
      _ = try authority.server { $0.groups = "X25519:nonsense" }
    }
    #expect(throws: TLSError.self) {
      _ = try authority.server { $0.applicationProtocols = [""] }
    }
    #expect(throws: TLSError.self) {
      _ = try authority.server { $0.clientAuthorityPEM = [] }
    }
  }
}

internal import COpenSSL

/// The SHA-256 of bytes that come in pieces.
@safe public struct RunningDigest: ~Copyable {
  private let context: OpaquePointer

  /// Begins with no bytes.
  public init() {
    guard let context = unsafe ntl_sha256_begin() else {
      preconditionFailure("SHA-256 is not available")
    }
    unsafe self.context = context
  }

  deinit { unsafe EVP_MD_CTX_free(context) }

  /// Takes the next piece in.
  public mutating func add(_ bytes: [UInt8]) {
    let result = unsafe bytes.withUnsafeBytes { buffer in
      unsafe EVP_DigestUpdate(context, buffer.baseAddress, buffer.count)
    }
    precondition(result == 1, "SHA-256 is not available")
  }

  /// The digest of everything taken in, ``Digest/byteCount`` long; to be called once, at the end.
  public mutating func finish() -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: Digest.byteCount) { digest, initializedCount in
      let result = unsafe EVP_DigestFinal_ex(context, digest.baseAddress, nil)
      precondition(result == 1, "SHA-256 is not available")
      initializedCount = Digest.byteCount
    }
  }
}

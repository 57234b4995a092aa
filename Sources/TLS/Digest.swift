internal import COpenSSL

/// SHA-256 and what is made of it.
public enum Digest {
  /// Bytes of a digest or code.
  public static let byteCount = 32

  /// The SHA-256 of bytes, ``byteCount`` long.
  public static func sha256(_ bytes: RawSpan) -> [UInt8] {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { digest, initializedCount in
        let result = unsafe ntl_sha256(bytes.baseAddress, bytes.count, digest.baseAddress)
        precondition(result == 1, "SHA-256 is not available")
        initializedCount = byteCount
      }
    }
  }

  /// The SHA-256 of bytes, ``byteCount`` long.
  public static func sha256(_ bytes: [UInt8]) -> [UInt8] { unsafe sha256(bytes.span.bytes) }

  /// The HMAC-SHA-256 of bytes under a key, ``byteCount`` long; compare it by
  /// ``constantTimeEquals(_:_:)``.
  public static func authenticationCode(of bytes: RawSpan, key: RawSpan) -> [UInt8] {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe key.withUnsafeBytes { key in
        unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { code, initializedCount in
          let result = unsafe ntl_hmac_sha256(
            key.baseAddress, key.count, bytes.baseAddress, bytes.count, code.baseAddress)
          precondition(result == 1, "HMAC-SHA-256 is not available")
          initializedCount = byteCount
        }
      }
    }
  }
}

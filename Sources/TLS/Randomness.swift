internal import COpenSSL
internal import Glibc

/// Random bytes that nobody can guess.
///
/// A system without randomness cannot go on safely; the process ends then.
public func randomBytes(count: Int) -> [UInt8] {
  unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
    unsafe fill(UnsafeMutableRawBufferPointer(buffer))
    initializedCount = count
  }
}

/// Fills bytes with what nobody can guess, without allocating.
public func fillWithRandomness(_ bytes: inout MutableRawSpan) {
  unsafe bytes.withUnsafeMutableBytes { unsafe fill($0) }
}

private func fill(_ buffer: UnsafeMutableRawBufferPointer) {
  precondition(buffer.count <= Int(Int32.max), "more random bytes than one call gives")
  guard let start = buffer.baseAddress else { return }
  let result = unsafe RAND_bytes(
    start.assumingMemoryBound(to: UInt8.self), Int32(buffer.count))
  precondition(result == 1, "the system has no randomness")
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
public func constantTimeEquals(_ left: RawSpan, _ right: RawSpan) -> Bool {
  guard left.byteCount == right.byteCount else { return false }
  return unsafe left.withUnsafeBytes { left in
    unsafe right.withUnsafeBytes { right in
      guard let first = left.baseAddress, let second = right.baseAddress else {
        return true
      }
      return unsafe CRYPTO_memcmp(first, second, left.count) == 0
    }
  }
}

/// Whether a text is an IPv4 or IPv6 address.
func isAddress(_ text: String) -> Bool {
  var bytes: (UInt64, UInt64) = (0, 0)
  return unsafe inet_pton(AF_INET, text, &bytes) == 1
    || (unsafe inet_pton(AF_INET6, text, &bytes)) == 1
}

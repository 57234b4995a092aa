internal import Glibc

/// The largest settings file that is read, in bytes.
package let settingsFileBytesMax = 1 << 20

/// The bytes of a file; nil when there is none.
///
/// `check` looks at the open file first.
///
/// - Throws: ``ClientError`` of kind `settings` when it cannot be read or is larger than allowed.
package func readWholeFile(
  _ path: String, bytesMax: Int, check: (Int32) throws(ClientError) -> Void
) throws(ClientError) -> [UInt8]? {
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else {
    if errno == ENOENT || errno == ENOTDIR { return nil }
    throw .settings("\(path) cannot be opened: \(unsafe String(cString: strerror(errno))).")
  }
  defer { close(descriptor) }
  try check(descriptor)
  var bytes: [UInt8] = []
  while bytes.count <= bytesMax {
    var failure: Int32 = 0
    let part = unsafe [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
      let result = unsafe read(descriptor, buffer.baseAddress, buffer.count)
      if result < 0 { failure = errno }
      count = max(result, 0)
    }
    if failure != 0 {
      throw .settings("\(path) cannot be read: \(unsafe String(cString: strerror(failure))).")
    }
    if part.isEmpty { return bytes }
    bytes += part
  }
  throw .settings("\(path) is larger than \(bytesMax) bytes.")
}

/// The bytes of a file; nil when there is none.
///
/// - Throws: ``ClientError`` of kind `settings` when it cannot be read or is larger than allowed.
package func readWholeFile(
  _ path: String, bytesMax: Int
) throws(ClientError) -> [UInt8]? {
  try readWholeFile(path, bytesMax: bytesMax) { _ in }
}

/// An environment variable; nil when it is not set.
func environmentVariable(_ name: String) -> String? {
  unsafe getenv(name).map { unsafe String(cString: $0) }
}

/// Where the process is; "/" when that is not known.
func currentFolderPath() -> String {
  guard let path = unsafe getcwd(nil, 0) else { return "/" }
  defer { unsafe free(path) }
  return unsafe String(cString: path)
}

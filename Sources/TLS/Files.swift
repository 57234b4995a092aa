internal import Glibc

/// The largest certificate or key file that is read, in bytes.
private let fileBytesMax = 1 << 20

/// Makes a folder for its owner only, unless it is there; its parent must exist.
func makeFolder(_ path: String) throws(TLSError) {
  guard unsafe mkdir(path, 0o700) != 0, errno != EEXIST else { return }
  throw fileError(path, "cannot be made")
}

/// The bytes of a small file; nil when there is none.
func readFile(_ path: String) throws(TLSError) -> [UInt8]? {
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else {
    if errno == ENOENT { return nil }
    throw fileError(path, "cannot be opened")
  }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  while bytes.count <= fileBytesMax {
    let part = unsafe [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
      count = unsafe max(read(descriptor, buffer.baseAddress, buffer.count), 0)
    }
    guard !part.isEmpty else { return bytes }
    bytes += part
  }
  throw TLSError(.fileUnusable, "\(path) is larger than \(fileBytesMax) bytes")
}

/// Replaces a file at once: a reader sees the old bytes or the new ones, also after a power cut.
func writeFile(_ path: String, _ bytes: [UInt8], mode: mode_t) throws(TLSError) {
  let draft = path + ".new"
  unsafe unlink(draft)
  let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
  guard descriptor >= 0 else { throw fileError(draft, "cannot be made") }
  defer { close(descriptor) }
  // The mode that was asked for, whatever the process's mask is.
  guard fchmod(descriptor, mode) == 0 else { throw fileError(draft, "cannot be protected") }
  let written = unsafe bytes.withUnsafeBytes {
    unsafe write(descriptor, $0.baseAddress, $0.count)
  }
  guard written == bytes.count, fsync(descriptor) == 0, unsafe rename(draft, path) == 0 else {
    throw fileError(path, "cannot be written")
  }
}

private func fileError(_ path: String, _ what: String) -> TLSError {
  TLSError(.fileUnusable, "\(path) \(what): \(systemErrorText(errno))")
}

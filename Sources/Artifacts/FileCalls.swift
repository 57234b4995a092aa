internal import EventLoop
internal import Glibc

// The calls of the file system, with errors; each may block.

/// Makes a folder for its owner only, unless it is there, and lets its name stay.
func makeFolder(_ path: String, in parent: String) throws(ArtifactStoreError) {
  if unsafe mkdir(path, 0o700) != 0 {
    guard errno == EEXIST else { throw fileError("mkdir") }
    return
  }
  try syncFolder(parent)
}

/// Opens a file that closes with its value.
func openFile(
  _ path: String, _ flags: Int32
) throws(ArtifactStoreError) -> Descriptor {
  let number = unsafe open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
  guard number >= 0 else { throw fileError("open") }
  return Descriptor(adopting: number)
}

/// Returns when the names in a folder are on disk.
func syncFolder(_ path: String) throws(ArtifactStoreError) {
  let folder = try openFile(path, O_RDONLY | O_DIRECTORY)
  guard fsync(folder.number) == 0 else { throw fileError("fsync") }
}

/// Writes all bytes at the file's place.
func writeAll(_ bytes: [UInt8], to file: borrowing Descriptor) throws(ArtifactStoreError) {
  var written = 0
  while written < bytes.count {
    let count = unsafe bytes.withUnsafeBytes { buffer in
      unsafe write(
        file.number, buffer.baseAddress?.advanced(by: written), buffer.count - written)
    }
    if count < 0 {
      if errno == EINTR { continue }
      throw fileError("write")
    }
    written += count
  }
}

/// Makes a file of bytes that stay; its name stays once its folder is synced.
func writeFile(_ bytes: [UInt8], to path: String) throws(ArtifactStoreError) {
  let file = try openFile(path, O_WRONLY | O_CREAT | O_EXCL)
  do throws(ArtifactStoreError) {
    try writeAll(bytes, to: file)
    guard fsync(file.number) == 0 else { throw fileError("fsync") }
  } catch {
    try? removeFile(path)
    throw error
  }
}

/// Reads at most `count` bytes from `offset` on; none at the end.
func readBytes(
  _ file: borrowing Descriptor, at offset: Int64, count: Int
) throws(ArtifactStoreError) -> [UInt8] {
  var failure: ArtifactStoreError?
  let number = file.number
  let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    while initialized < count {
      let part = unsafe pread(
        number, buffer.baseAddress?.advanced(by: initialized), count - initialized,
        Int(offset) + initialized)
      if part == 0 { return }
      if part < 0 {
        if errno == EINTR { continue }
        failure = fileError("pread")
        return
      }
      initialized += part
    }
  }
  if let failure { throw failure }
  return bytes
}

/// Removes a file; nothing happens where it is not there.
func removeFile(_ path: String) throws(ArtifactStoreError) {
  if unsafe unlink(path) != 0, errno != ENOENT { throw fileError("unlink") }
}

/// Removes an empty folder; nothing happens where it is not there, or is not empty any more.
func removeFolder(_ path: String) throws(ArtifactStoreError) {
  if unsafe rmdir(path) != 0, ![ENOENT, ENOTEMPTY, EEXIST].contains(errno) {
    throw fileError("rmdir")
  }
}

/// The names in a folder; none where it is not there.
func names(in path: String) throws(ArtifactStoreError) -> [String] {
  guard let folder = unsafe opendir(path) else {
    if errno == ENOENT { return [] }
    throw fileError("opendir")
  }
  defer { unsafe closedir(folder) }
  // The name is read where it stands: the entry may end right behind it.
  let start = MemoryLayout<dirent>.offset(of: \.d_name) ?? MemoryLayout<dirent>.size
  var result: [String] = []
  while let entry = unsafe readdir(folder) {
    let name = unsafe String(
      cString: (UnsafeRawPointer(entry) + start).assumingMemoryBound(to: CChar.self))
    if name != ".", name != ".." { result.append(name) }
  }
  return result
}

/// Whether a file is there and has not changed for `age`.
func isUntouched(_ path: String, for age: Duration) -> Bool {
  var facts = stat()
  guard unsafe lstat(path, &facts) == 0 else { return false }
  return time(nil) - max(facts.st_mtim.tv_sec, facts.st_ctim.tv_sec)
    >= Int(clamping: age.components.seconds)
}

/// The error that the thread's errno tells of.
func fileError(_ call: String) -> ArtifactStoreError {
  switch errno {
  case ENOSPC, EDQUOT: .full
  case ENOENT: .missing
  default: .failed("\(SystemError(call: call, code: errno))")
  }
}

internal import Foundation
internal import Glibc

/// Holds a folder for this process alone, until the value is freed or the process ends.
final class FolderLock {
  private let descriptor: Int32

  /// Locks by a file that tells the holder's number.
  init(_ path: String) throws(EmbeddedPostgresError) {
    let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else {
      throw EmbeddedPostgresError(
        .folderUnusable, "\(path) cannot be made: \(systemErrorText(errno))")
    }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      close(file)
      let holder = readText(path)?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
      throw EmbeddedPostgresError(
        .folderInUse, "another server (process \(holder)) uses the data folder of \(path)")
    }
    descriptor = file
    let text = Array("\(getpid())\n".utf8)
    ftruncate(file, 0)
    _ = unsafe text.withUnsafeBytes { unsafe pwrite(file, $0.baseAddress, $0.count, 0) }
  }

  deinit { close(descriptor) }
}

internal import Foundation
internal import Glibc

/// Holds a folder for this process alone, until the value is freed or the process ends.
final class FolderLock: Sendable {
  /// The file in the folder that is locked.
  static let fileName = "server.lock"

  private let descriptor: Int32

  /// Locks a folder by a file in it that tells the holder's number.
  ///
  /// - Throws: ``EmbeddedPostgresError`` `folderInUse`, which names the folder and its holder.
  init(_ folder: String) throws(EmbeddedPostgresError) {
    let path = "\(folder)/\(FolderLock.fileName)"
    let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else {
      throw EmbeddedPostgresError(
        .folderUnusable, "\(path) cannot be made: \(systemErrorText(errno))")
    }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      close(file)
      guard code == EWOULDBLOCK else {
        throw EmbeddedPostgresError(
          .folderUnusable, "\(path) cannot be locked: \(systemErrorText(code))")
      }
      // A holder that has just begun has not written its number yet.
      let holder = readText(path).flatMap { pid_t($0.trimmingCharacters(in: .newlines)) }
      let name = holder.map { "process \($0)" } ?? "a process that has just started"
      throw EmbeddedPostgresError(
        .folderInUse,
        "another server (\(name)) uses the folder \(folder); stop it, or choose another folder")
    }
    descriptor = file
    let text = Array("\(getpid())\n".utf8)
    ftruncate(file, 0)
    _ = unsafe text.withUnsafeBytes { unsafe pwrite(file, $0.baseAddress, $0.count, 0) }
  }

  deinit { close(descriptor) }
}

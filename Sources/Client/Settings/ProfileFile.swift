internal import Glibc

/// The file of the stored profiles, which nobody but its owner may read.
package struct ProfileFile: Sendable {
  /// Where it is, or would be.
  package let path: String

  package init(path: String) { self.path = path }

  /// `NEEDLETAIL_CONFIG`, else `needletail/config.json` below `XDG_CONFIG_HOME` or `~/.config`.
  package init?(in environment: SettingsEnvironment) {
    if let path = environment["NEEDLETAIL_CONFIG"] {
      self.path = path
    } else if let folder = environment["XDG_CONFIG_HOME"] {
      path = "\(folder)/needletail/config.json"
    } else if let home = environment["HOME"] {
      path = "\(home)/.config/needletail/config.json"
    } else {
      return nil
    }
  }

  /// The profiles; nil when there is no file.
  ///
  /// - Throws: ``ClientError`` of kind `settings`, also for a file that others may read or that
  ///   another user has put there.
  package func read() throws(ClientError) -> Profiles? {
    try checkLink()
    guard let bytes = try readWholeFile(path, bytesMax: settingsFileBytesMax, check: checkOwner)
    else { return nil }
    return try Profiles(bytes, path: path)
  }

  /// Changes the profiles, while nobody else does.
  ///
  /// The file is written beside its place and then moved there, so that it is always whole; it is
  /// never readable by others, nor are the folders that are made for it.
  ///
  /// - Throws: ``ClientError`` of kind `settings`; nothing has changed then.
  package func edit<Result>(
    _ change: (inout Profiles) throws(ClientError) -> Result
  ) throws(ClientError) -> Result {
    try checkLink()
    let target = try resolvedTarget()
    let folder = target.lastIndex(of: "/").map { String(target[..<$0]) } ?? "."
    try makeFolders(folder.isEmpty ? "/" : folder)
    let lock = try lockFolder(folder.isEmpty ? "/" : folder)
    defer { close(lock) }
    var profiles = try read() ?? Profiles()
    let before = profiles
    let result = try change(&profiles)
    guard profiles != before else { return result }
    try replace(target, with: Array(profiles.text.utf8))
    // Best effort: the file is whole whatever becomes of its name in a loss of power.
    fsync(lock)
    return result
  }

  // MARK: Who may read it

  private func checkLink() throws(ClientError) {
    var info = stat()
    guard unsafe lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFLNK else { return }
    guard info.st_uid == geteuid() || info.st_uid == 0 else {
      throw .settings(
        "\(path) is a symbolic link of another user (\(info.st_uid)), who could send your keys "
          + "elsewhere: remove it.")
    }
  }

  private func checkOwner(_ descriptor: Int32) throws(ClientError) {
    var info = stat()
    guard unsafe fstat(descriptor, &info) == 0 else { throw failed("cannot be looked at") }
    // What is no file, as /dev/null, keeps no keys.
    guard info.st_mode & S_IFMT == S_IFREG else { return }
    guard info.st_uid == geteuid() || info.st_uid == 0 else {
      throw .settings("\(path) belongs to another user (\(info.st_uid)): it is not used.")
    }
    guard info.st_mode & 0o077 == 0 else {
      throw .settings(
        "\(path) holds API keys, and others may read or change it: run `chmod 600 \(path)`, and "
          + "rotate its keys if somebody may have read them.")
    }
  }

  // MARK: Writing

  /// The file itself where `path` is a link, so that the link stays.
  private func resolvedTarget() throws(ClientError) -> String {
    guard let resolved = unsafe realpath(path, nil) else {
      guard errno == ENOENT || errno == ENOTDIR else { throw failed("cannot be found") }
      return path
    }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  private func makeFolders(_ folder: String) throws(ClientError) {
    guard unsafe mkdir(folder, 0o700) != 0 else { return }
    switch errno {
    case EEXIST: return
    case ENOENT:
      guard let end = folder.lastIndex(of: "/"), end != folder.startIndex else { break }
      try makeFolders(String(folder[..<end]))
      guard unsafe mkdir(folder, 0o700) != 0, errno != EEXIST else { return }
    default: break
    }
    throw failed("cannot be stored: the folder \(folder) cannot be made", errno)
  }

  private func lockFolder(_ folder: String) throws(ClientError) -> Int32 {
    let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failed("cannot be stored in \(folder)") }
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else {
        let failure = failed("cannot be locked")
        close(descriptor)
        throw failure
      }
    }
    return descriptor
  }

  private func replace(_ target: String, with bytes: [UInt8]) throws(ClientError) {
    let temporary = "\(target).\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
    let descriptor = unsafe open(
      temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failed("cannot be stored") }
    let isWritten = write(bytes, to: descriptor) && fsync(descriptor) == 0
    let code = errno
    close(descriptor)
    guard isWritten else {
      unsafe unlink(temporary)
      throw failed("cannot be stored", code)
    }
    guard unsafe rename(temporary, target) == 0 else {
      let failure = failed("cannot be stored")
      unsafe unlink(temporary)
      throw failure
    }
  }

  private func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        return false
      }
    }
    return true
  }

  private func failed(_ what: String, _ code: Int32 = errno) -> ClientError {
    .settings("\(path) \(what): \(unsafe String(cString: strerror(code))).")
  }
}

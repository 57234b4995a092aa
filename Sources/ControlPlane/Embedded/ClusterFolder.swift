internal import Foundation
internal import Glibc
internal import TLS

/// Where the private cluster keeps its files.
///
/// `data` is PostgreSQL's own folder, `log` takes what it says, `run` holds its socket.
struct ClusterFolder {
  /// The longest path of a socket, in bytes (the system's bound less the final zero).
  static let socketPathBytesMax = 107
  static let port = 5432

  let root: String
  let account: Account

  var data: String { root + "/data" }
  var draft: String { root + "/data.new" }
  var log: String { root + "/log" }
  var startLog: String { log + "/start.log" }
  var settings: String { data + "/needletail.conf" }
  var postmasterFile: PostmasterFile? {
    readText(data + "/postmaster.pid").flatMap(PostmasterFile.init)
  }

  /// The folder of the socket: beside the data, or under `/tmp` when that path is too long.
  var sockets: String {
    let beside = root + "/run"
    let path = "\(beside)/.s.PGSQL.\(ClusterFolder.port).lock"
    guard path.utf8.count > ClusterFolder.socketPathBytesMax else { return beside }
    let digest = Digest.sha256(Array(root.utf8)).prefix(8)
    return "/tmp/needletail-" + digest.map { String(format: "%02x", $0) }.joined()
  }

  /// The major version the cluster was made by; nil when there is no cluster yet.
  var version: String? {
    readText(data + "/PG_VERSION")?.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Makes the folders, and refuses those that belong to somebody else.
  func prepare() throws(EmbeddedPostgresError) {
    for folder in [root, log, sockets] { try own(folder) }
    if let owner = status(data)?.st_uid, owner != account.user {
      throw EmbeddedPostgresError(
        .ownerMismatch,
        "\(data) belongs to \(name(owner)), but PostgreSQL runs as \(account.name)")
    }
  }

  /// Makes a folder for the account alone, or checks that it is that.
  private func own(_ folder: String) throws(EmbeddedPostgresError) {
    if unsafe mkdir(folder, 0o700) == 0 {
      guard unsafe chown(folder, account.user, account.group) == 0 else {
        throw unusable(folder, "cannot be given to \(account.name)")
      }
    } else if errno != EEXIST {
      throw unusable(folder, "cannot be made")
    }
    guard let status = status(folder) else { throw unusable(folder, "cannot be read") }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw EmbeddedPostgresError(.folderUnusable, "\(folder) is not a folder")
    }
    guard status.st_uid == account.user else {
      throw EmbeddedPostgresError(
        .ownerMismatch,
        "\(folder) belongs to \(name(status.st_uid)), but PostgreSQL runs as \(account.name)")
    }
    guard status.st_mode & 0o077 == 0 || (unsafe chmod(folder, 0o700)) == 0 else {
      throw unusable(folder, "cannot be protected")
    }
  }

  /// Refuses a folder that the account cannot get to, as under another user's home.
  func checkReachable() async throws(EmbeddedPostgresError) {
    guard account.user != geteuid() else { return }
    let child = try ChildProcess.start(
      ["/usr/bin/test", "-w", root], as: account, output: "/dev/null")
    guard await child.end(within: .seconds(10)) == .exited(0) else {
      throw EmbeddedPostgresError(
        .folderUnusable,
        "the user \(account.name), as whom PostgreSQL runs, cannot reach \(root); "
          + "choose a data folder outside of other users' homes, such as /var/lib/needletail")
    }
  }

  /// Writes the settings that hold for every start.
  func writeSettings(memoryBytes: Int) throws(EmbeddedPostgresError) {
    let text = PostgresSettings(sockets: sockets, log: log, memoryBytes: memoryBytes).text
    try write(text, to: settings)
  }

  /// Replaces a file by one of the account's.
  func write(_ text: String, to path: String) throws(EmbeddedPostgresError) {
    let draft = path + ".new"
    do {
      try Data(text.utf8).write(to: URL(filePath: draft))
    } catch {
      throw EmbeddedPostgresError(
        .folderUnusable, "\(path) cannot be written: \(fileErrorText(error))")
    }
    guard unsafe chmod(draft, 0o600) == 0, unsafe chown(draft, account.user, account.group) == 0,
      unsafe rename(draft, path) == 0
    else { throw unusable(path, "cannot be written") }
  }

  /// Removes lock files whose number now belongs to another program, or to one that has ended and
  /// was not waited for: PostgreSQL cannot tell these from one that runs, and would not start.
  func removeStaleLocks(_ processes: ClusterProcesses) {
    let socket = "\(sockets)/.s.PGSQL.\(ClusterFolder.port)"
    for path in [data + "/postmaster.pid", socket + ".lock"] {
      guard let file = readText(path).flatMap(PostmasterFile.init), kill(file.pid, 0) == 0,
        !processes.contains(file.pid)
      else { continue }
      unsafe unlink(path)
    }
  }

  /// Removes the folder of the socket when it lies outside of the data folder, if it is empty.
  func removeSocketsElsewhere() {
    guard !sockets.hasPrefix(root) else { return }
    unsafe rmdir(sockets)
  }

  /// The last lines of what PostgreSQL said, for an error's text.
  func lastWords() -> String {
    // A folder that cannot be listed holds no words.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: log)) ?? []
    let files = names.filter { $0.hasSuffix(".log") }.map { log + "/" + $0 }
    guard let newest = files.max(by: { modified($0) < modified($1) }) else { return "" }
    return (readText(newest) ?? "").split(separator: "\n").suffix(5).joined(separator: " | ")
  }

  /// When a file was last written, in nanoseconds since 1970.
  private func modified(_ path: String) -> Int {
    guard let time = status(path)?.st_mtim else { return 0 }
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }

  private func unusable(_ path: String, _ what: String) -> EmbeddedPostgresError {
    EmbeddedPostgresError(.folderUnusable, "\(path) \(what): \(systemErrorText(errno))")
  }

  private func name(_ user: uid_t) -> String { Account(user: user)?.name ?? "user \(user)" }

  /// A file's own properties, not those of what it points to.
  private func status(_ path: String) -> stat? {
    var status = stat()
    return unsafe lstat(path, &status) == 0 ? status : nil
  }
}

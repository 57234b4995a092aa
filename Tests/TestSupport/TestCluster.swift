internal import Glibc
internal import Synchronization

/// A PostgreSQL server for tests.
///
/// It is a private cluster on a Unix socket in a short folder under /tmp, owned by the user
/// postgres when the tests run as root, with fsync on. It ends with the test process; what a
/// process that was killed left behind is cleared by the next one.
public final class TestCluster: Sendable {
  /// The folder with the data and the socket; empty for a server that was there before.
  public let folder: String
  /// Reaches the database `postgres` as the superuser.
  public let connection: String

  private let databases = Atomic<Int>(0)

  private init(folder: String, connection: String) {
    self.folder = folder
    self.connection = connection
  }

  // MARK: Starting

  private static let common = Mutex<TestCluster?>(nil)

  /// The server that all tests of the process share; NEEDLETAIL_TEST_POSTGRES, a connection string
  /// of a superuser, names one that runs already.
  public static func shared() throws -> TestCluster {
    try common.withLock { common in
      if let common { return common }
      let cluster: TestCluster
      if let text = unsafe getenv("NEEDLETAIL_TEST_POSTGRES") {
        cluster = TestCluster(folder: "", connection: keywords(unsafe String(cString: text)))
      } else {
        cluster = try start()
      }
      common = cluster
      return cluster
    }
  }

  /// A connection string in keyword form, which others can be appended to.
  ///
  /// Of URLs those are taken that name a socket: `postgresql://user@/database?host=folder`.
  private static func keywords(_ connection: String) -> String {
    guard let scheme = connection.firstRange(of: "://") else { return connection }
    let parts = connection[scheme.upperBound...].split(separator: "?", maxSplits: 1)
    let place = parts[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    var words = parts.count > 1 ? parts[1].split(separator: "&").map(String.init) : []
    if let user = place[0].split(separator: "@").first { words.append("user=\(user)") }
    if place.count > 1, !place[1].isEmpty { words.append("dbname=\(place[1])") }
    return words.joined(separator: " ")
  }

  /// Starts a server of the caller's own, for tests that break it; `settings` are lines of
  /// postgresql.conf, `access` lines that go before the others in pg_hba.conf.
  public static func start(settings: [String] = [], access: [String] = []) throws -> TestCluster {
    Leftovers.clear()
    let folder = "/tmp/ntpg-\(getpid())-\(number.wrappingAdd(1, ordering: .relaxed).newValue)"
    try runChecked(["mkdir", "-p", "-m", "755", folder])
    try runChecked(["sh", "-c", "echo \(getpid()) > \(folder)/owner"])
    if getuid() == 0 { try runChecked(["chown", "-R", "postgres", folder]) }
    Leftovers.remember(folder)
    try runAsPostgres([
      "\(binaries)/initdb", "-D", "\(folder)/data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
      "--locale=C", "--no-sync",
    ])
    let lines =
      [
        "listen_addresses = ''", "unix_socket_directories = '\(folder)'",
        "max_connections = 200", "shared_buffers = '64MB'", "fsync = on",
        "log_min_messages = fatal",
      ] + settings
    let cluster = TestCluster(
      folder: folder, connection: "host=\(folder) user=postgres dbname=postgres")
    try cluster.append(lines, to: "postgresql.conf")
    try cluster.prepend(access, to: "pg_hba.conf")
    try cluster.resume()
    return cluster
  }

  private static let number = Atomic<Int>(0)

  /// Where Debian keeps the server's programs.
  public static let binaries = "/usr/lib/postgresql/15/bin"

  /// Runs a program as a user that PostgreSQL accepts.
  @discardableResult
  public static func runAsPostgres(_ arguments: [String], input: String = "") throws -> String {
    // The current folder may be closed to that user.
    let wrapper = getuid() == 0 ? ["runuser", "-u", "postgres", "--"] : []
    return try runChecked(["env", "-C", "/tmp"] + wrapper + arguments, input: input)
  }

  private func append(_ lines: [String], to file: String) throws {
    try TestCluster.runAsPostgres(
      ["tee", "-a", "\(folder)/data/\(file)"], input: lines.joined(separator: "\n") + "\n")
  }

  private func prepend(_ lines: [String], to file: String) throws {
    guard !lines.isEmpty else { return }
    let path = "\(folder)/data/\(file)"
    let rest = try runChecked(["cat", path])
    try TestCluster.runAsPostgres(
      ["tee", path], input: lines.joined(separator: "\n") + "\n" + rest)
  }

  // MARK: Databases

  /// Makes an empty database and returns the superuser's connection string for it.
  public func createDatabase() throws -> String {
    let number = databases.wrappingAdd(1, ordering: .relaxed).newValue
    let name = "test_\(getpid())_\(number)"
    try sql("create database \(name)")
    return connectionString(database: name, user: "postgres")
  }

  /// The connection string for another database and user of this server.
  public func connectionString(database: String, user: String) -> String {
    // The last of two equal keywords counts.
    "\(connection) dbname=\(database) user=\(user)"
  }

  /// Runs statements through psql, in the database of `connection` or else in `postgres`, and
  /// returns what they print, unadorned.
  @discardableResult
  public func sql(_ text: String, in connection: String? = nil) throws -> String {
    try TestCluster.runAsPostgres(
      [
        "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", connection ?? self.connection,
      ], input: text)
  }

  // MARK: Breaking

  /// Ends the postmaster as a crash would; its children notice by themselves.
  public func kill() throws {
    guard let postmaster = Leftovers.postmaster(of: folder) else {
      throw SupportError("no postmaster runs in \(folder)")
    }
    Glibc.kill(postmaster, SIGKILL)
    // Its children hold the shared memory until they have gone.
    try runChecked([
      "sh", "-c", "while kill -0 \(postmaster) 2>/dev/null; do :; done",
    ])
  }

  /// Keeps the postmaster from doing anything, or lets it go on: connections that are new then
  /// wait, and the others are served.
  public func freeze(_ isFrozen: Bool) throws {
    guard let postmaster = Leftovers.postmaster(of: folder) else {
      throw SupportError("no postmaster runs in \(folder)")
    }
    Glibc.kill(postmaster, isFrozen ? SIGSTOP : SIGCONT)
  }

  /// Starts the server again after ``kill()`` or ``stop()``.
  public func resume() throws {
    var last = ""
    for _ in 0..<50 {
      do {
        try TestCluster.runAsPostgres([
          "\(TestCluster.binaries)/pg_ctl", "start", "-w", "-s", "-D", "\(folder)/data", "-l",
          "\(folder)/log",
        ])
        return
      } catch let error as SupportError {
        last = error.description
        // A crashed server's last children may still be going.
        usleep(100_000)
      }
    }
    throw SupportError("\(last)\n\(try run(["tail", "\(folder)/log"]).output)")
  }

  /// Stops the server at once, as an administrator would: sessions are told.
  public func stop() throws {
    try TestCluster.runAsPostgres([
      "\(TestCluster.binaries)/pg_ctl", "stop", "-w", "-s", "-m", "fast", "-D", "\(folder)/data",
    ])
  }

  /// Ends the server and removes its folder.
  public func destroy() {
    guard !folder.isEmpty else { return }
    Leftovers.remove(folder)
  }
}

/// The clusters on this machine that belong to no living test process, and those that end with
/// ours.
private enum Leftovers {
  private static let ours = Mutex<(folders: [String], isRegistered: Bool)>(([], false))

  static func remember(_ folder: String) {
    ours.withLock { ours in
      ours.folders.append(folder)
      if !ours.isRegistered {
        ours.isRegistered = true
        atexit { Leftovers.removeOurs() }
      }
    }
  }

  static func removeOurs() {
    for folder in ours.withLock({ $0.folders }) { remove(folder) }
  }

  /// Removes the clusters whose test process is gone.
  static func clear() {
    guard let listing = try? run(["sh", "-c", "ls -d /tmp/ntpg-* 2>/dev/null"]) else { return }
    for folder in listing.output.split(separator: "\n").map(String.init) {
      // A folder without an owner is being made at this moment.
      guard let owner = firstNumber(in: "\(folder)/owner"), owner != getpid(),
        kill(owner, 0) != 0
      else { continue }
      remove(folder)
    }
  }

  static func remove(_ folder: String) {
    if let postmaster = postmaster(of: folder) {
      kill(postmaster, SIGQUIT)
      for _ in 0..<500 where kill(postmaster, 0) == 0 { usleep(10_000) }
    }
    // Only a folder that cannot be removed is left, and the next process tries again.
    _ = try? run(["rm", "-rf", folder])
    ours.withLock { ours in ours.folders.removeAll { $0 == folder } }
  }

  /// The process that runs on the data of `folder`, if it is a PostgreSQL server.
  static func postmaster(of folder: String) -> pid_t? {
    guard let process = firstNumber(in: "\(folder)/data/postmaster.pid"),
      let link = try? run(["readlink", "/proc/\(process)/exe"]),
      link.output.hasPrefix("\(TestCluster.binaries)/postgres")
    else { return nil }
    return process
  }

  private static func firstNumber(in file: String) -> pid_t? {
    guard let result = try? run(["head", "-n", "1", file]), result.status == 0 else { return nil }
    return pid_t(result.output.filter { $0.isNumber })
  }
}

internal import Foundation
internal import Glibc

/// How the private PostgreSQL is to run.
public struct EmbeddedPostgresSettings: Sendable {
  /// The server's data folder, which exists; the cluster lives in `postgres` under it.
  public var dataFolder: String
  /// The folder with PostgreSQL's programs; nil looks in the usual places and the search path.
  public var programsFolder: String?
  /// The user to run PostgreSQL as when started by root; nil takes `postgres`, else `nobody`.
  public var account: String?
  /// How long a start may take; recovery after a crash is part of it.
  public var startTimeout = Duration.seconds(600)

  /// Makes settings for a data folder; everything else is found out.
  public init(dataFolder: String) { self.dataFolder = dataFolder }
}

/// What happens to the private PostgreSQL while it is looked after.
public enum EmbeddedPostgresEvent: Sendable, Equatable {
  /// A new cluster was made by this version.
  case created(version: String)
  /// It was started, and accepts connections.
  case started(pid: Int32)
  /// One that an earlier server left running was taken over.
  case adopted(pid: Int32)
  /// It ended without being told to.
  case died(pid: Int32)
  /// It could not be started again; the next attempt follows.
  case restartFailed(EmbeddedPostgresError)
  /// It was stopped.
  case stopped
}

/// A PostgreSQL of the server's own: nobody else can reach it, and it lives as long as the server.
///
/// It listens on a Unix socket in a folder that only its user can enter, and on no network address.
public actor EmbeddedPostgres {
  /// The superuser and the database of the cluster.
  public static let name = "needletail"

  private let settings: EmbeddedPostgresSettings
  private let observe: @Sendable (EmbeddedPostgresEvent) -> Void
  private var cluster: (folder: ClusterFolder, programs: PostgresPrograms)?
  private var lock: FolderLock?
  private var postmaster: Postmaster?
  private var child: ChildProcess?
  private var isStopping = false

  /// Prepares to run a cluster; nothing happens before ``start()``.
  ///
  /// The closure is called for each event, to log it.
  public init(
    _ settings: EmbeddedPostgresSettings,
    observe: @escaping @Sendable (EmbeddedPostgresEvent) -> Void
  ) {
    self.settings = settings
    self.observe = observe
  }

  /// Makes the cluster if there is none, and starts it or takes over the one that runs.
  ///
  /// - Returns: The connection string of the superuser, once connections are accepted.
  /// - Throws: ``EmbeddedPostgresError`` that names the folder, the user or the versions.
  public func start() async throws(EmbeddedPostgresError) -> String {
    precondition(postmaster == nil, "it is already started")
    isStopping = false
    let root = absolutePath(settings.dataFolder) + "/postgres"
    let folder = ClusterFolder(root: root, account: try .forPostgres(settings.account))
    try folder.prepare()
    try await folder.checkReachable()
    lock = try FolderLock(folder.root)
    do {
      let programs = try await choosePrograms(folder)
      cluster = (folder, programs)
      if folder.version == nil { try await create(folder, programs) }
      try await startOrAdopt(folder, programs)
    } catch {
      lock = nil
      throw error
    }
    return EmbeddedPostgres.connectionString(sockets: folder.sockets)
  }

  /// The number of the running PostgreSQL; nil while there is none.
  public var pid: Int32? { postmaster?.pid }

  /// Stops it: open transactions are rolled back, and everything committed is on the disk.
  public func stop() async {
    isStopping = true
    if let postmaster {
      await end(postmaster, .seconds(30))
      cluster?.folder.removeSocketsElsewhere()
      observe(.stopped)
    }
    postmaster = nil
    child = nil
    lock = nil
  }

  /// Starts it again whenever it dies, until it is stopped or the task is cancelled.
  public func superviseUntilStopped() async {
    var failures = 0
    while !isStopping, !Task.isCancelled {
      if isAlive {
        failures = 0
        await pause(.milliseconds(100))
        continue
      }
      if let dead = postmaster {
        observe(.died(pid: dead.pid))
        postmaster = nil
      }
      guard let cluster else { return }
      do throws(EmbeddedPostgresError) {
        try await startOrAdopt(cluster.folder, cluster.programs)
      } catch {
        guard !isStopping else { return }
        observe(.restartFailed(error))
        failures += 1
        await pause(.milliseconds(min(100 << min(failures, 6), 5_000)))
      }
    }
  }

  /// The connection string of the PostgreSQL that runs in a data folder; nil where none does.
  static func connectionString(ofDataFolder path: String) -> String? {
    let folder = ClusterFolder(root: absolutePath(path) + "/postgres", account: .current)
    guard let file = folder.postmasterFile, file.status == "ready",
      ClusterProcesses(dataFolder: folder.data).contains(file.pid)
    else { return nil }
    return connectionString(sockets: folder.sockets)
  }

  /// A connection string (libpq's URL form) for the socket in a folder.
  static func connectionString(sockets: String) -> String {
    let allowed = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~"))
    let host = sockets.addingPercentEncoding(withAllowedCharacters: allowed) ?? sockets
    return "postgresql:///\(name)?host=\(host)&port=\(ClusterFolder.port)&user=\(name)"
  }

  private var isAlive: Bool {
    if let child, child.poll() != nil { self.child = nil }
    return postmaster?.isRunning ?? false
  }

  private func choosePrograms(
    _ folder: ClusterFolder
  ) async throws(EmbeddedPostgresError) -> PostgresPrograms {
    let searchPath = ProcessInfo.processInfo.environment["PATH"] ?? ""
    let places = PostgresPrograms.places(given: settings.programsFolder, searchPath: searchPath)
    var found: [PostgresPrograms] = []
    for place in places {
      guard let programs = await PostgresPrograms.inspect(place, scratch: folder.log) else {
        continue
      }
      found.append(programs)
    }
    return try PostgresPrograms.choose(
      from: found, searched: places, clusterVersion: folder.version, cluster: folder.data)
  }

  /// Makes the cluster beside its place and moves it there: it is complete or absent.
  private func create(
    _ folder: ClusterFolder, _ programs: PostgresPrograms
  ) async throws(EmbeddedPostgresError) {
    if FileManager.default.fileExists(atPath: folder.draft) {
      do {
        try FileManager.default.removeItem(atPath: folder.draft)
      } catch {
        throw EmbeddedPostgresError(
          .folderUnusable, "\(folder.draft) cannot be removed: \(fileErrorText(error))")
      }
    }
    try await run(
      [
        programs.initdb, "--pgdata=\(folder.draft)", "--username=\(EmbeddedPostgres.name)",
        "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C.UTF-8",
        "--data-checksums", "--no-instructions",
      ], folder, input: nil)
    try folder.write(
      """
      # Settings here win over those of needletail.conf, which is written at every start.
      include_if_exists = 'needletail.conf'
      default_text_search_config = 'pg_catalog.english'

      """, to: folder.draft + "/postgresql.conf")
    let statements = folder.root + "/create.sql"
    try folder.write("create database \(EmbeddedPostgres.name);\n", to: statements)
    try await run(
      [
        programs.postgres, "--single", "-D", folder.draft, "-c", "exit_on_error=on",
        "-c", "log_min_messages=warning", "postgres",
      ], folder, input: statements)
    guard unsafe rename(folder.draft, folder.data) == 0 else {
      throw EmbeddedPostgresError(
        .creationFailed, "\(folder.data) cannot be put in place: \(systemErrorText(errno))")
    }
    observe(.created(version: programs.version))
  }

  private func run(
    _ arguments: [String], _ folder: ClusterFolder, input: String?
  ) async throws(EmbeddedPostgresError) {
    let child = try ChildProcess.start(
      arguments, as: folder.account, input: input, output: folder.startLog)
    let end = await child.end(within: settings.startTimeout)
    guard end == .exited(0) else {
      throw EmbeddedPostgresError(
        .creationFailed, "\(arguments[0]) failed (\(end)): \(folder.lastWords())")
    }
  }

  /// Takes over the postmaster of the folder, or starts one once nothing of an old one is left.
  private func startOrAdopt(
    _ folder: ClusterFolder, _ programs: PostgresPrograms
  ) async throws(EmbeddedPostgresError) {
    let deadline = ContinuousClock.now + settings.startTimeout
    let processes = ClusterProcesses(dataFolder: folder.data)
    if let file = folder.postmasterFile, processes.contains(file.pid),
      let running = Postmaster(pid: file.pid)
    {
      if file.status != "stopping", file.socketFolder == folder.sockets {
        postmaster = running
        do {
          try await awaitReady(running, folder, until: deadline)
        } catch {
          postmaster = nil
          throw error
        }
        observe(.adopted(pid: running.pid))
        return
      }
      // It is on its way out, or listens where nobody looks.
      await end(running, .seconds(30))
    }
    await processes.awaitOrphans()
    folder.removeStaleLocks(processes)
    try folder.writeSettings(memoryBytes: Int(ProcessInfo.processInfo.physicalMemory))
    guard !isStopping else { throw EmbeddedPostgresError(.stopped, "it was told to stop") }
    let child = try ChildProcess.start(
      [programs.postgres, "-D", folder.data], as: folder.account, output: folder.startLog)
    self.child = child
    guard let started = Postmaster(pid: child.pid) else {
      throw EmbeddedPostgresError(.startFailed, "PostgreSQL ended at once: \(folder.lastWords())")
    }
    postmaster = started
    do {
      try await awaitReady(started, folder, until: deadline)
    } catch {
      if error.reason != .stopped { await end(started, .seconds(5)) }
      postmaster = nil
      throw error
    }
    observe(.started(pid: started.pid))
  }

  /// Waits until connections are accepted.
  private func awaitReady(
    _ postmaster: Postmaster, _ folder: ClusterFolder, until deadline: ContinuousClock.Instant
  ) async throws(EmbeddedPostgresError) {
    while true {
      if let file = folder.postmasterFile, file.pid == postmaster.pid, file.status == "ready" {
        return
      }
      guard isAlive else {
        throw EmbeddedPostgresError(
          .startFailed, "PostgreSQL ended while it started: \(folder.lastWords())")
      }
      guard !isStopping else { throw EmbeddedPostgresError(.stopped, "it was told to stop") }
      guard ContinuousClock.now < deadline else {
        throw EmbeddedPostgresError(
          .startTimedOut,
          "PostgreSQL does not accept connections after \(settings.startTimeout): "
            + folder.lastWords())
      }
      await pause(.milliseconds(10))
    }
  }

  /// Ends a postmaster: fast shutdown first, then without a checkpoint, then by force.
  private func end(_ postmaster: Postmaster, _ patience: Duration) async {
    let begin = ContinuousClock.now
    var sent: Int32 = 0
    while true {
      if let child, child.pid == postmaster.pid, child.poll() != nil {
        self.child = nil
        return
      }
      guard postmaster.isRunning else { return }
      let passed = ContinuousClock.now - begin
      let due =
        passed > patience + .seconds(5) ? SIGKILL : passed > patience ? SIGQUIT : SIGINT
      if due != sent { kill(postmaster.pid, due) }
      sent = due
      await pause(.milliseconds(10))
    }
  }
}

private func absolutePath(_ path: String) -> String {
  resolvedPath(URL(filePath: path).standardizedFileURL.path)
}

internal import Artifacts
internal import EventLoop
internal import Postgres
internal import RPC
internal import Storage
internal import TLS
internal import Tracing
internal import Tracking

/// What the program keeps on one loop.
final class LoopState: ServesConnections {
  let loop: Loop
  let server: LoopServer

  /// The first loop's alone.
  private var acceptor: Acceptor?
  private var listener: Listener?
  private var signals: SignalSource?
  private var maintenance: Database?
  /// Names this server to the others where a task of upkeep is one server's.
  private let upkeepID: UUID

  init(_ loop: Loop, _ server: LoopServer) {
    self.loop = loop
    self.server = server
    upkeepID = server.nextID()
  }

  /// Makes this loop the one that accepts, and that hears of changes elsewhere.
  func lead(
    _ socket: consuming ListeningSocket, _ state: ServerState, _ mailboxes: [Mailbox],
    _ load: LoopLoad
  ) {
    do throws(SystemError) {
      acceptor = try Acceptor(loop, socket, state: state, mailboxes: mailboxes, load: load)
    } catch {
      state.observer.note(.error, "the listening socket cannot be watched: \(error)", [])
    }
    listener = server.database.listen(
      [ChangeFeed.channel],
      onNotification: { _, payload in
        for mailbox in mailboxes {
          mailbox.post { ($0.attachment as? LoopState)?.server.feed.received(payload) }
        }
      },
      onReconnected: {
        for mailbox in mailboxes {
          mailbox.post { ($0.attachment as? LoopState)?.server.feed.receivedNothingForAWhile() }
        }
      })
  }

  /// How often the secrets that seal session tickets change.
  ///
  /// A secret opens tickets for twice as long, then it is forgotten.
  static let ticketKeysInterval: Duration = .seconds(TLSSettings.ticketLifetimeSeconds)

  /// Changes the secrets on every loop, from `keys` on.
  func rotateTicketKeys(from keys: TicketKeys, on mailboxes: [Mailbox]) {
    loop.schedule(after: LoopState.ticketKeysInterval) { [weak self] in
      guard let self else { return }
      let fresh = keys.rotated()
      for mailbox in mailboxes {
        mailbox.post { loop in
          guard let state = loop.attachment as? LoopState else { return }
          do throws(TLSError) {
            try state.server.useTicketKeys(fresh)
          } catch {
            state.server.state.observer.note(
              .warning, "the keys of session tickets stay the same: \(error)", [])
          }
        }
      }
      self.rotateTicketKeys(from: fresh, on: mailboxes)
    }
  }

  /// When the database is looked after first: a server that starts has calls to answer.
  static let housekeepingDelay: Duration = .seconds(5)

  /// Looks after the database; `refuse` is told when it is not one to serve from.
  func keepHouse(
    _ settings: DatabaseSettings, _ housekeeping: HousekeepingSettings,
    artifacts: ArtifactShelf?, refuse: @escaping @Sendable (String) -> Void
  ) {
    var own = settings
    own.role = "needletail_maintenance"
    own.poolSize = 1
    own.overflow = 1
    let database: Database
    do throws(PostgresError) {
      database = try Database(
        loop: loop, settings: own, shared: DatabaseShared(own, loops: 1))
    } catch {
      return refuse("the database cannot be served from: \(error)")
    }
    maintenance = database
    database.start()
    loop.spawn { [self] in
      guard await check(database, refuse), let artifacts else { return }
      await claim(artifacts, database, every: housekeeping.interval, refuse)
    }
    var tasks = Housekeeping.tasks(housekeeping) { [server] in server.countPurged($0) }
    tasks += MetricUpkeep.tasks(housekeeping) + TraceUpkeep.tasks(housekeeping)
    for task in tasks {
      schedule(task, database, after: min(LoopState.housekeepingDelay, task.interval))
    }
  }

  private func artifactTask(
    _ artifacts: any ArtifactStore, every interval: Duration
  ) -> UpkeepTask {
    UpkeepTask("artifacts", every: interval) {
      [server] (database) async throws(PostgresError) in
      let problem = try await ArtifactHousekeeping.run(artifacts, database)
      switch problem {
      case nil: break
      case .store(let error):
        server.state.observer.note(
          .warning, "artifacts cannot be removed", [("error", "\(error)")])
      case .foreign(let reason):
        server.state.observer.note(.error, "no artifacts are removed: \(reason)", [])
      }
      return UpkeepStep(rows: 0, isLast: true, problem: problem.map { "\($0)" })
    }
  }

  /// Makes sure that the store of artifacts is the database's, then looks after it.
  private func claim(
    _ artifacts: ArtifactShelf, _ database: Database, every interval: Duration,
    _ refuse: @Sendable (String) -> Void
  ) async {
    var told: String?
    while maintenance != nil {
      switch await ArtifactHousekeeping.claim(artifacts, database) {
      case .own:
        let task = artifactTask(artifacts.store, every: interval)
        return schedule(task, database, after: min(LoopState.housekeepingDelay, interval))
      case .refused(let reason): return refuse("artifacts: \(reason)")
      case .failed(let cause):
        if told != cause {
          server.state.observer.note(
            .warning, "whose the artifact store is cannot be told yet", [("error", cause)])
        }
        told = cause
        await loop.pause(.seconds(1))
      }
    }
  }

  /// Waits for the database, then makes sure that this program may serve from it; says whether.
  private func check(
    _ database: Database, _ refuse: @Sendable (String) -> Void
  ) async -> Bool {
    func refuseDatabase(_ reason: String) -> Bool {
      refuse("the database cannot be served from: \(reason)")
      return false
    }
    let migrator = Migrator(
      database, migrations: Migration.embedded, settings: MigratorSettings())
    var isTold = false
    while maintenance != nil {
      do throws(PostgresError) {
        // The schema first, over a session of its own: an empty database lacks even the roles.
        do throws(MigrationError) {
          try await migrator.verify()
        } catch {
          if case .database(let cause) = error { throw cause }
          return refuseDatabase("\(error)")
        }
        try await server.database.waitUntilReady(patience: .seconds(60))
        if let problem = try await ServingCheck.problem(server.database) {
          return refuseDatabase(problem)
        }
        return true
      } catch {
        // It is away, or went away meanwhile: every call tells its caller; look again, soon.
        if !isTold {
          server.state.observer.note(
            .warning, "the database does not answer", [("error", "\(error)")])
        }
        isTold = true
        await loop.pause(.seconds(1))
      }
    }
    return false
  }

  private func schedule(_ task: UpkeepTask, _ database: Database, after delay: Duration) {
    loop.schedule(after: delay) { [weak self] in
      guard let self, self.maintenance != nil else { return }
      self.loop.spawn { [self] in
        do throws(PostgresError) {
          if let outcome = try await Upkeep.run(task, database, by: upkeepID) {
            server.countUpkeep(task.name, outcome)
            if let error = outcome.error { throw error }
          }
        } catch {
          server.state.observer.note(
            .warning, "upkeep failed", [("task", task.name), ("error", "\(error)")])
        }
        schedule(task, database, after: task.interval)
      }
    }
  }

  /// Tells of the process's signals.
  func watchSignals(_ action: @escaping (ProcessSignal) -> Void) {
    do throws(SystemError) {
      signals = try SignalSource(loop, action)
    } catch {
      server.state.observer.note(.error, "signals cannot be watched: \(error)", [])
    }
  }

  /// Takes no more connections and lets those that are open finish.
  func drain(_ done: @escaping () -> Void) {
    acceptor?.close()
    listener?.close()
    maintenance?.close()
    maintenance = nil
    server.drain { [server, loop] in
      loop.spawn {
        await server.flushAudit()
        server.database.close()
        done()
      }
    }
  }
}

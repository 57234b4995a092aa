internal import Artifacts
internal import EventLoop
internal import Foundation
internal import Identity
internal import Logging
internal import Messages
internal import Postgres
internal import RPC
internal import Registry
internal import Synchronization
internal import TLS
internal import Tracing
internal import Tracking

/// The whole server: loops, database, services, and what watches over them.
public final class ControlPlane: Sendable {
  /// Where it listens.
  public let address: String
  /// The port it listens on.
  public let port: UInt16

  let state: ServerState
  private let group: LoopGroup
  private let log: ServerLog
  private let options: ServerOptions
  private let operations: OperationsPage?
  private let auditFile: AuditFile?
  private let isStopping = Atomic<Bool>(false)
  /// Why the server stopped by itself.
  private let failure = Mutex<String?>(nil)

  /// Listens, and serves as soon as that stands; whether the database answers is not waited for.
  ///
  /// - Throws: ``ControlPlaneError`` that names the port, the file or the setting that is wrong.
  public convenience init(_ options: ServerOptions) async throws(ControlPlaneError) {
    try await self.init(options, ServerLog(options))
  }

  /// The same, with the log of whoever starts more than the server.
  init(_ options: ServerOptions, _ log: ServerLog) async throws(ControlPlaneError) {
    self.options = options
    self.log = log
    _ = Descriptor.raiseLimit()
    let identity = try ServerIdentity.read(options)
    do throws(PostgresError) {
      try options.database.check()
    } catch {
      throw ControlPlaneError("the database's URL cannot be used: \(error)")
    }
    let listener = try ControlPlane.listen(options)
    address = listener.address.host
    port = listener.address.port
    try OperationsPage.check(options.operationsPort)
    auditFile = try options.auditFile.map { path throws(ControlPlaneError) in
      try AuditFile(path, log.logger)
    }
    let shelf = try ControlPlane.makeShelf(options.artifacts, log.logger)
    state = try ControlPlane.makeState(options, shelf, auditFile, log.logger)
    let count = options.loops > 0 ? options.loops : ProcessInfo.processInfo.activeProcessorCount
    let load = LoopLoad(loops: count)
    let shared = DatabaseShared(options.database, loops: count)
    let (state, logger) = (state, log.logger)
    do throws(SystemError) {
      group = try LoopGroup(count: count) { loop, index in
        ControlPlane.prepare(
          loop, index, options, identity, state, shared, load, logger)
      }
    } catch {
      throw ControlPlaneError("the event loops cannot be made: \(error)")
    }
    ControlPlane.accept(on: group, listener, state, load, options.tls.ticketKeys)
    operations = try await OperationsPage.start(options.operationsPort, group, state)
    watchSignals()
    group.mailboxes[0].post { [self] loop in
      (loop.attachment as? LoopState)?.keepHouse(
        options.database, options.housekeeping, artifacts: shelf
      ) { [self] in refuse($0) }
    }
    logger.notice(
      "serving",
      metadata: [
        "address": "\(address)", "port": .stringConvertible(port),
        "loops": .stringConvertible(count),
        "operations_port": .stringConvertible(operations?.port ?? 0),
      ])
  }

  /// Waits until the server has stopped, by a signal or by ``stop()``.
  ///
  /// - Throws: ``ControlPlaneError`` when it stopped because the database is not one to serve from.
  public func waitUntilStopped() async throws(ControlPlaneError) {
    await group.waitUntilStopped()
    await operations?.stop()
    log.logger.notice("stopped")
    log.flush()
    if let reason = failure.withLock({ $0 }) { throw ControlPlaneError(reason) }
  }

  /// Stops because the database, or the store of artifacts, is not one to serve from.
  private func refuse(_ reason: String) {
    log.logger.critical("\(reason)")
    failure.withLock { $0 = reason }
    stop()
  }

  /// Lets open calls finish, then stops.
  public func stop() {
    guard !isStopping.exchange(true, ordering: .relaxed) else { return }
    log.logger.notice("draining")
    state.drain()
    let remaining = Mutex(group.mailboxes.count)
    let group = group
    let done: @Sendable () -> Void = {
      let isLast = remaining.withLock { remaining in
        remaining -= 1
        return remaining == 0
      }
      if isLast { group.stop() }
    }
    for mailbox in group.mailboxes {
      mailbox.post { loop in
        guard let state = loop.attachment as? LoopState else { return done() }
        state.drain(done)
      }
    }
  }

  // MARK: Making the parts

  private static func listen(
    _ options: ServerOptions
  ) throws(ControlPlaneError) -> ListeningSocket {
    do throws(SystemError) {
      return try ListeningSocket(host: options.host, port: options.port)
    } catch {
      if error.isAddressInUse {
        throw ControlPlaneError(
          "port \(options.port) of \(options.host) is in use; stop what listens there, "
            + "or choose another with --port")
      }
      throw ControlPlaneError("cannot listen on \(options.host):\(options.port): \(error)")
    }
  }

  /// Where artifacts are kept; nil where nothing is said of it.
  private static func makeShelf(
    _ settings: ArtifactSettings, _ logger: Logger
  ) throws(ControlPlaneError) -> ArtifactShelf? {
    if settings.store == .s3 {
      do throws(ArtifactStoreError) {
        return ArtifactShelf(
          try S3ArtifactStore(settings.s3) { logger.warning("artifacts: \($0)") }, settings)
      } catch {
        throw ControlPlaneError("artifact-store: s3 cannot be used: \(error)")
      }
    }
    guard let folder = settings.folder else { return nil }
    do throws(ArtifactStoreError) {
      return ArtifactShelf(try LocalArtifactStore(folder), settings)
    } catch {
      throw ControlPlaneError(
        "artifact-folder: \(folder) can be neither made nor used: \(error)")
    }
  }

  private static func makeState(
    _ options: ServerOptions, _ shelf: ArtifactShelf?, _ auditFile: AuditFile?, _ logger: Logger
  ) throws(ControlPlaneError) -> ServerState {
    let tracking = TrackingService(artifacts: shelf)
    let registry = RegistryService()
    let tracing = TracingService(options.tracing)
    let methods =
      ServerMethods.all + IdentityMethods.all + RegistryMethods.all + TrackingMethods.all
      + TracingMethods.all
    let permissions = Set(methods.filter(\.hasPermission).map(\.permission))
    var reasons = TrackingService.reasons
    reasons.merge(IdentityService.reasons)
    reasons.merge(RegistryService.reasons)
    reasons.merge(TracingService.reasons)
    return ServerState(
      settings: options.server,
      router: Router(
        ServerState.ownMethods
          + IdentityService(
            permissions: permissions, passwords: Passwords(options.passwords),
            organizations: options.organizations
          ).methods + registry.methods + tracking.methods + tracing.methods),
      authenticator: KeyAuthenticator(permissions: permissions), reasons: reasons,
      observer: ServerObserver(logger, logsEveryCall: options.logsEveryCall),
      auditOutlets: try outlets((auditFile.map { [$0] } ?? []) + options.auditSinks))
  }

  private static func outlets(
    _ sinks: [any AuditSink]
  ) throws(ControlPlaneError) -> [AuditOutlet] {
    do throws(SystemError) {
      return try sinks.map { sink throws(SystemError) in try AuditOutlet(sink) }
    } catch {
      throw ControlPlaneError("the audit log's sinks cannot be started: \(error)")
    }
  }

  private static func prepare(
    _ loop: Loop, _ index: Int, _ options: ServerOptions, _ identity: ServerIdentity,
    _ state: ServerState, _ shared: DatabaseShared, _ load: LoopLoad, _ logger: Logger
  ) {
    do {
      let database = try Database(loop: loop, settings: options.database, shared: shared)
      database.onSlowStatement = { name, duration in
        logger.warning(
          "slow statement",
          metadata: [
            "statement": "\(name)",
            "milliseconds": .stringConvertible(ServerObserver.milliseconds(duration)),
          ])
      }
      database.start()
      let server = try LoopServer(
        loop, index: index, state: state, database: database, identity: identity,
        tlsSettings: options.tls, load: load)
      loop.attachment = LoopState(loop, server)
    } catch {
      // Both were tried before the loops were made.
      logger.critical("a loop cannot serve: \(error)")
      loop.stop()
    }
  }

  private static func accept(
    on group: LoopGroup, _ listener: consuming ListeningSocket, _ state: ServerState,
    _ load: LoopLoad, _ ticketKeys: TicketKeys?
  ) {
    let handOver = Mutex<ListeningSocket?>(listener)
    let mailboxes = group.mailboxes
    mailboxes[0].post { loop in
      guard let own = loop.attachment as? LoopState,
        let listener = handOver.withLock({ $0.take() })
      else { return }
      own.lead(listener, state, mailboxes, load)
      if let ticketKeys { own.rotateTicketKeys(from: ticketKeys, on: mailboxes) }
    }
  }

  // MARK: Signals

  private func watchSignals() {
    group.mailboxes[0].post { [self] loop in
      (loop.attachment as? LoopState)?.watchSignals { [self] signal in
        switch signal {
        case .hangup:
          auditFile?.reopen()
          reload()
        case .interrupt, .terminate: stop()
        }
      }
    }
  }

  /// Reads the certificate anew; a pair that is not good is refused and the old one kept.
  func reload() {
    do throws(ControlPlaneError) {
      let identity = try ServerIdentity.read(options)
      for mailbox in group.mailboxes {
        mailbox.post { loop in
          // It was tried above: a loop can only refuse what no loop would take.
          try? (loop.attachment as? LoopState)?.server.reload(identity)
        }
      }
      log.logger.notice("certificate reloaded", metadata: ["file": "\(options.certificateFile)"])
    } catch {
      log.logger.error("certificate refused, the old one stays: \(error)")
    }
  }
}

extension ServerIdentity {
  /// Reads the pair of files and tries it.
  static func read(_ options: ServerOptions) throws(ControlPlaneError) -> ServerIdentity {
    let identity = ServerIdentity(
      certificateChainPEM: try bytes(options.certificateFile, "certificate"),
      privateKeyPEM: try bytes(options.keyFile, "private key"))
    do throws(TLSError) {
      _ = try TLSContext(server: identity, settings: options.tls)
    } catch {
      throw ControlPlaneError(
        "certificate \(options.certificateFile) with key \(options.keyFile): \(error)")
    }
    return identity
  }

  private static func bytes(_ file: String, _ what: String) throws(ControlPlaneError) -> [UInt8] {
    guard let data = FileManager.default.contents(atPath: file) else {
      throw ControlPlaneError("the \(what) file \(file) cannot be read")
    }
    return Array(data)
  }
}

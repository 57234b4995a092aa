internal import EventLoop
internal import FlyingFox
internal import FlyingSocks
internal import Foundation
internal import Messages
internal import Postgres
internal import RPC
internal import Synchronization

/// Metrics and health for the machine's own monitoring, on a loopback port.
final class OperationsPage: Sendable {
  /// The port it listens on.
  let port: UInt16
  private let http: HTTPServer
  private let task: Task<Void, Never>

  /// Makes sure that the port is free, before anything is started.
  ///
  /// - Throws: ``ControlPlaneError`` that names the port and what is in the way.
  static func check(_ port: UInt16?) throws(ControlPlaneError) {
    guard let port, port != 0 else { return }
    do throws(SystemError) {
      _ = try ListeningSocket(host: loopback, port: port)
    } catch {
      if error.isAddressInUse {
        throw ControlPlaneError(
          "operations port \(port) of \(loopback) is in use; stop what listens there, or choose "
            + "another with --operations-port")
      }
      throw ControlPlaneError("cannot listen on the operations port \(port): \(error)")
    }
  }

  /// Every machine has this loopback address; some have none of version 6.
  private static let loopback = "127.0.0.1"

  /// Starts to listen; nil without a port.
  ///
  /// - Throws: ``ControlPlaneError`` when the port is not to be had.
  static func start(
    _ port: UInt16?, _ group: LoopGroup, _ state: ServerState
  ) async throws(ControlPlaneError) -> OperationsPage? {
    guard let port else { return nil }
    let address: sockaddr_in
    do {
      address = try .inet(ip4: loopback, port: port)
    } catch {
      throw ControlPlaneError("cannot listen on the operations port \(port): \(error)")
    }
    let http = HTTPServer(address: address, logger: .disabled)
    await http.appendRoute("GET /metrics") { _ in
      HTTPResponse(
        statusCode: .ok, headers: HTTPHeaders([.contentType: "text/plain; version=0.0.4"]),
        body: Data((await metrics(group, state)).utf8))
    }
    await http.appendRoute("GET /healthz") { _ in
      let isReady = await isReady(group, state)
      return HTTPResponse(
        statusCode: isReady ? .ok : .serviceUnavailable,
        body: Data((isReady ? "ready\n" : "not ready\n").utf8))
    }
    let task = Task<Void, Never> {
      // It ends when it is stopped; a failure to listen shows below.
      _ = try? await http.run()
    }
    do {
      try await http.waitUntilListening(timeout: 5)
    } catch {
      throw ControlPlaneError("cannot listen on the operations port \(port): \(error)")
    }
    var actual = port
    switch await http.listeningAddress {
    case .ip4(_, let listening), .ip6(_, let listening): actual = listening
    default: break
    }
    return OperationsPage(port: actual, http, task)
  }

  private init(port: UInt16, _ http: HTTPServer, _ task: Task<Void, Never>) {
    self.port = port
    self.http = http
    self.task = task
  }

  func stop() async {
    await http.stop(timeout: 0)
    task.cancel()
  }

  // MARK: What it shows

  private struct Snapshot: Sendable {
    var server: ServerMetrics
    var database: DatabaseMetrics
    var databaseState: DatabaseState
    var loop: LoopStatistics
  }

  private static func snapshots(_ group: LoopGroup) async -> [Snapshot] {
    var result: [Snapshot] = []
    for mailbox in group.mailboxes {
      let snapshot = await withCheckedContinuation { continuation in
        mailbox.post { loop in
          guard let state = loop.attachment as? LoopState else {
            return continuation.resume(returning: Snapshot?.none)
          }
          continuation.resume(
            returning: Snapshot(
              server: state.server.metrics, database: state.server.database.metrics,
              databaseState: state.server.database.state, loop: loop.statistics))
        }
      }
      if let snapshot { result.append(snapshot) }
    }
    return result
  }

  private static func metrics(_ group: LoopGroup, _ state: ServerState) async -> String {
    let all = await snapshots(group)
    guard var sum = all.first?.server else { return "" }
    for snapshot in all.dropFirst() { sum.add(snapshot.server) }
    sum.connectionsRefused = state.connectionsRefused
    return MetricsText.render(
      methods: state.router.methods.map(\.descriptor.name), server: sum,
      databases: all.map(\.database), loops: all.map(\.loop), software: state.settings.software)
  }

  private static func isReady(_ group: LoopGroup, _ state: ServerState) async -> Bool {
    if state.isDraining { return false }
    let all = await snapshots(group)
    return !all.isEmpty && all.allSatisfy { $0.databaseState == .ready }
  }
}

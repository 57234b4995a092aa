internal import EventLoop

/// Listens on channels, and sends notifications, over a connection of its own.
///
/// The connection is made again whenever it breaks. Notifications are hints: what is sent while it
/// is away is lost.
public final class Listener {
  private let database: Database
  private let channels: [String]
  private let onNotification: (_ channel: String, _ payload: String) -> Void
  private let onReconnected: () -> Void
  private var connection: PlainConnection?
  private var isClosed = false
  private var failures = 0
  private var pause: Timer?
  /// Notifications that wait to be sent; equal ones are one.
  private var outbox: [(channel: String, payload: String)] = []
  private var isSending = false

  /// How many notifications may wait; more are dropped, since the listeners poll as well.
  private static let outboxMax = 1_024

  init(
    _ database: Database, _ channels: [String],
    _ onNotification: @escaping (_ channel: String, _ payload: String) -> Void,
    _ onReconnected: @escaping () -> Void
  ) {
    self.database = database
    self.channels = channels
    self.onNotification = onNotification
    self.onReconnected = onReconnected
  }

  /// Whether it listens now.
  public var isListening: Bool { connection != nil }

  /// Sends a notification soon, unless an equal one waits already.
  public func notify(channel: String, payload: String) {
    guard !isClosed, outbox.count < Listener.outboxMax,
      !outbox.contains(where: { $0 == (channel, payload) })
    else { return }
    outbox.append((channel, payload))
    send()
  }

  /// Stops listening.
  public func close() {
    isClosed = true
    if let pause { database.loop.cancel(pause) }
    pause = nil
    connection?.close()
    connection = nil
  }

  func start() {
    guard !isClosed else { return }
    database.loop.spawn { [self] in
      do throws(PostgresError) {
        try await connect()
      } catch {
        retryLater()
      }
    }
  }

  private func connect() async throws(PostgresError) {
    let settings = database.settings
    let link = try await Link.open(
      database.direct, turn: failures, on: database.loop, timeout: settings.connectTimeout)
    let connection = PlainConnection(link)
    guard !isClosed else { return connection.close() }
    connection.onNotification = onNotification
    let work = Work(
      scope: .none, deadline: database.loop.now.advanced(by: settings.connectTimeout),
      cancellation: nil)
    do {
      for channel in channels {
        try await connection.simple("listen \(quoted(channel))", work)
      }
    } catch {
      connection.close()
      throw error
    }
    guard !isClosed, connection.link.isOpen else { return retryLater() }
    connection.onEnd = { [self] _ in
      self.connection = nil
      retryLater()
    }
    self.connection = connection
    failures = 0
    // What was sent in between is lost, so the first connection counts as well.
    onReconnected()
    send()
  }

  private func quoted(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
      + "\""
  }

  private func retryLater() {
    guard !isClosed, pause == nil else { return }
    failures += 1
    let delay = database.settings.pause(afterFailures: failures)
    pause = database.loop.schedule(after: delay) { [self] in
      pause = nil
      start()
    }
  }

  private func send() {
    guard !isSending, connection != nil, !outbox.isEmpty else { return }
    isSending = true
    database.loop.spawn { [self] in
      while let connection, !outbox.isEmpty {
        let next = outbox.removeFirst()
        var parameters = Parameters()
        parameters.append(text: next.channel)
        parameters.append(text: next.payload)
        let query = Query(Notification.statement, parameters)
        let work = Work(
          scope: .none, deadline: database.loop.now.advanced(by: .seconds(5)), cancellation: nil)
        // A hint that is lost is made good by the listeners' own polling.
        guard (try? await connection.run(query, work)) != nil else { break }
      }
      isSending = false
    }
  }
}

extension Database {
  /// Listens on `channels` until the listener is closed.
  ///
  /// `onReconnected` is called whenever it begins to listen, the first time too: what was sent
  /// before may have been missed.
  public func listen(
    _ channels: [String],
    onNotification: @escaping (_ channel: String, _ payload: String) -> Void,
    onReconnected: @escaping () -> Void
  ) -> Listener {
    let listener = Listener(self, channels, onNotification, onReconnected)
    listener.start()
    return listener
  }
}

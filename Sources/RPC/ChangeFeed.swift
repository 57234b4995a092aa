public import EventLoop
public import Postgres

/// Wakes those who watch a resource when it has changed, on this server or on another.
///
/// Lives on a loop.
///
/// A wake-up only says "look": what changed is read from the database. Wake-ups are collected and
/// sent outside of the changes' transactions, because a NOTIFY inside would make commits wait for
/// one another; one that gets lost costs the watcher a poll interval, never an event.
public final class ChangeFeed {
  /// The channel of LISTEN and NOTIFY.
  public static let channel = "needletail_changes"
  /// How long changes are collected before they are told, at most.
  public static let coalescing: Duration = .milliseconds(5)
  /// How often a watcher looks without having been told.
  public static let pollInterval: Duration = .seconds(1)
  /// Identifiers that one notification carries; their text stays below PostgreSQL's 8,000 bytes.
  static let identifiersPerNotification = 200

  private let loop: Loop
  private let database: Database
  private var signals: [UUID: (signal: Signal, watchers: Int)] = [:]
  private var links: [UUID: [Signal]] = [:]
  private var observers: [(UUID?) -> Void] = []
  private var changed: Set<UUID> = []
  private var isScheduled = false

  init(_ loop: Loop, _ database: Database) {
    self.loop = loop
    self.database = database
  }

  /// Starts to watch `id`; pair it with ``leave(_:)``.
  public func join(_ id: UUID) -> Signal {
    if let entry = signals[id] {
      signals[id]?.watchers += 1
      return entry.signal
    }
    let signal = Signal()
    signals[id] = (signal, 1)
    return signal
  }

  /// Stops to watch `id`.
  public func leave(_ id: UUID) {
    guard let entry = signals[id] else { return }
    signals[id] = entry.watchers > 1 ? (entry.signal, entry.watchers - 1) : nil
  }

  /// Wakes `signal`, which is the watcher's own, whenever `id` changes; pair it with
  /// ``unlink(_:from:)``.
  public func link(_ id: UUID, to signal: Signal) {
    links[id, default: []].append(signal)
  }

  /// Stops to wake `signal` for `id`.
  public func unlink(_ id: UUID, from signal: Signal) {
    guard var linked = links[id], let place = linked.firstIndex(where: { $0 === signal }) else {
      return
    }
    linked.remove(at: place)
    links[id] = linked.isEmpty ? nil : linked
  }

  /// Tells `observer` of every change from now on; nil = some may have been missed.
  func observe(_ observer: @escaping (UUID?) -> Void) {
    observers.append(observer)
  }

  /// Says that `id` was changed by a transaction that has committed.
  public func changed(_ id: UUID) {
    tell(id)
    changed.insert(id)
    guard !isScheduled else { return }
    isScheduled = true
    loop.schedule(after: ChangeFeed.coalescing) { [weak self] in self?.send() }
  }

  /// Wakes this loop's watchers of what another server, or another loop, says was changed.
  public func received(_ payload: String) {
    for text in payload.split(separator: ",") {
      if let id = UUID(text) { tell(id) }
    }
  }

  /// Wakes every watcher: notifications may have been missed.
  public func receivedNothingForAWhile() {
    for entry in signals.values { entry.signal.notify() }
    for linked in links.values {
      for signal in linked { signal.notify() }
    }
    for observer in observers { observer(nil) }
  }

  private func tell(_ id: UUID) {
    signals[id]?.signal.notify()
    for signal in links[id] ?? [] { signal.notify() }
    for observer in observers { observer(id) }
  }

  private func send() {
    isScheduled = false
    var batch: [UUID] = []
    while let id = changed.popFirst() {
      batch.append(id)
      if batch.count == ChangeFeed.identifiersPerNotification { notify(&batch) }
    }
    notify(&batch)
  }

  private func notify(_ batch: inout [UUID]) {
    guard !batch.isEmpty else { return }
    let payload = batch.map(\.description).joined(separator: ",")
    batch = []
    loop.spawn { [database] in
      // A lost wake-up is made good by the watchers' own poll.
      try? await database.notify(channel: ChangeFeed.channel, payload: payload)
    }
  }
}

internal import Postgres
internal import Synchronization

/// What an API key may do in a second, on all loops together.
final class KeyRate: Sendable {
  /// Calls; nil = any number.
  let calls: SharedBucket?
  /// Message bytes, both ways; nil = any number.
  let bytes: SharedBucket?

  init(callsPerSecond: UInt64, bytesPerSecond: UInt64) {
    calls = callsPerSecond > 0 ? SharedBucket(perSecond: callsPerSecond) : nil
    bytes = bytesPerSecond > 0 ? SharedBucket(perSecond: bytesPerSecond) : nil
  }

  func isFull(now: UInt64) -> Bool {
    calls?.isFull(now: now) != false && bytes?.isFull(now: now) != false
  }
}

/// The rates of all keys that are connected, or were so recently that their buckets are not full:
/// whoever connects anew finds what he left.
///
/// Shared by all loops; asked when a loop gets its first connection of a key and loses its last.
final class KeyRates: Sendable {
  private struct Entry {
    let rate: KeyRate
    var loops = 0
  }

  private struct Table {
    var entries: [UUID: Entry] = [:]
    var cleanAt = KeyRates.cleanLeast
  }

  private static let cleanLeast = 1_024
  private let table = Mutex(Table())
  private let callsPerSecond: UInt64
  private let bytesPerSecond: UInt64

  init(_ settings: ServerSettings) {
    callsPerSecond = settings.callsPerSecond
    bytesPerSecond = settings.bytesPerSecond
  }

  /// Whether anything is bounded at all.
  var isOn: Bool { callsPerSecond > 0 || bytesPerSecond > 0 }

  var count: Int { table.withLock { $0.entries.count } }

  /// The rate of a key, for one more loop.
  func take(_ key: UUID, now: UInt64) -> KeyRate {
    table.withLock { table in
      if table.entries[key] == nil, table.entries.count >= table.cleanAt {
        table.entries = table.entries.filter { $1.loops > 0 || !$1.rate.isFull(now: now) }
        table.cleanAt = max(KeyRates.cleanLeast, table.entries.count * 2)
      }
      var entry =
        table.entries[key]
        ?? Entry(rate: KeyRate(callsPerSecond: callsPerSecond, bytesPerSecond: bytesPerSecond))
      entry.loops += 1
      table.entries[key] = entry
      return entry.rate
    }
  }

  /// A loop has no connection of the key any more.
  func release(_ key: UUID) {
    table.withLock { $0.entries[key]?.loops -= 1 }
  }
}

/// What one loop has taken of a key's rate and not yet used, for all of its connections.
///
/// Lives on that loop. A call that is within the rate costs two comparisons and two subtractions
/// here; the shared buckets are asked once in a 256th of a second's tokens.
final class RateShare {
  /// Connections of the loop that use it.
  var users = 0
  private let rate: KeyRate
  private var calls: Int64
  private var bytes: Int64
  private let callsPart: Int64
  private let bytesPart: Int64

  /// How many parts of a second's tokens there are.
  private static let parts: UInt64 = 256
  /// What stands for no bound: nobody uses that much.
  private static let unbounded = Int64.max / 2

  init(_ rate: KeyRate) {
    self.rate = rate
    calls = rate.calls == nil ? RateShare.unbounded : 0
    bytes = rate.bytes == nil ? RateShare.unbounded : 0
    callsPart = RateShare.part(rate.calls)
    bytesPart = RateShare.part(rate.bytes)
  }

  private static func part(_ bucket: SharedBucket?) -> Int64 {
    guard let bucket else { return unbounded }
    return Int64(clamping: max(1, bucket.perSecond / parts))
  }

  /// Takes a call and the bytes of its request, or says in how many nanoseconds to ask again.
  ///
  /// Bytes may go below zero, like a window: so a request larger than a second's bytes passes.
  func takeCall(_ requestBytes: Int, now: UInt64) -> UInt64? {
    if bytes <= 0, let wait = drawBytes(now: now) { return wait }
    if calls <= 0, let wait = drawCalls(now: now) { return wait }
    calls -= 1
    charge(requestBytes, now: now)
    return nil
  }

  /// Counts bytes of an answer, or of a stream.
  func charge(_ count: Int, now: UInt64) {
    bytes -= Int64(count)
    // The other loops hear of a debt that is more than what a loop may hold.
    if bytes < -bytesPart { payBack(now: now) }
  }

  /// In how many nanoseconds a stream may go on; nil = now.
  func wait(now: UInt64) -> UInt64? { bytes > 0 ? nil : drawBytes(now: now) }

  /// Puts back what is left, when the loop's last connection of the key has ended.
  func close(now: UInt64) {
    if calls > 0 { rate.calls?.giveBack(UInt64(calls)) }
    if bytes > 0 { rate.bytes?.giveBack(UInt64(bytes)) }
    payBack(now: now)
  }

  private func payBack(now: UInt64) {
    guard bytes < 0 else { return }
    rate.bytes?.charge(bytes.magnitude, now: now)
    bytes = 0
  }

  private func drawBytes(now: UInt64) -> UInt64? {
    payBack(now: now)
    guard let bucket = rate.bytes else { return nil }
    switch bucket.draw(upTo: UInt64(bytesPart), now: now) {
    case .tokens(let count): bytes += Int64(count)
    case .wait(let time): return time
    }
    return nil
  }

  private func drawCalls(now: UInt64) -> UInt64? {
    guard let bucket = rate.calls else { return nil }
    switch bucket.draw(upTo: UInt64(callsPart), now: now) {
    case .tokens(let count): calls += Int64(count)
    case .wait(let time): return time
    }
    return nil
  }
}

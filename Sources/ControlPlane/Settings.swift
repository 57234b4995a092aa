internal import Foundation
internal import Identity
internal import Postgres
internal import RPC
internal import TLS
internal import Tracking
internal import Wire

/// One setting: a name, what it bounds, and how its text is read.
///
/// A setting is given as `--set name=value`, or in the environment as NEEDLETAIL_ and the name in
/// capitals with underscores; the former wins.
public struct Setting: Sendable {
  /// Lower-case words with dashes.
  public let name: String
  /// What it is, with its unit.
  public let help: String
  let show: @Sendable (ServerOptions) -> String
  let read: @Sendable (inout ServerOptions, String) -> Bool

  /// The name of its environment variable.
  public var variable: String {
    "NEEDLETAIL_" + name.uppercased().replacingOccurrences(of: "-", with: "_")
  }

  /// What it is in `options`.
  public func value(in options: ServerOptions) -> String { show(options) }

  /// Sets it.
  ///
  /// - Throws: ``ControlPlaneError`` that names the setting and what it expects.
  public func apply(_ text: String, to options: inout ServerOptions) throws(ControlPlaneError) {
    guard read(&options, text) else {
      throw ControlPlaneError("setting \(name): \"\(text)\" is not good; \(help)")
    }
  }

  /// Sets every setting that the environment names, then those of `--set`.
  ///
  /// - Throws: ``ControlPlaneError`` that names the setting.
  public static func apply(
    environment: [String: String], assignments: [String], to options: inout ServerOptions
  ) throws(ControlPlaneError) {
    for setting in all {
      if let text = environment[setting.variable] { try setting.apply(text, to: &options) }
    }
    for assignment in assignments {
      let parts = assignment.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, let setting = all.first(where: { $0.name == parts[0] }) else {
        throw ControlPlaneError(
          "--set \(assignment): expected name=value with a name that `needletail settings` lists")
      }
      try setting.apply(parts[1], to: &options)
    }
  }

  // MARK: The table

  /// Every setting, by subject.
  public static let all: [Setting] =
    connectionSettings + admissionSettings + passwordSettings + streamSettings + floodSettings
    + databaseSettings + organizationSettings + artifactSettings + bucketSettings
    + traceSettings + generalSettings

  private static let connectionSettings: [Setting] = [
    duration("handshake-timeout", "time for the TLS handshake", \.server.handshakeTimeout),
    duration("hello-timeout", "time from connecting to Hello", \.server.wire.helloTimeout),
    duration("idle-timeout", "silence after which the peer is pinged", \.server.wire.idleTimeout),
    duration("pong-timeout", "time from that Ping to its Pong", \.server.wire.pongTimeout),
    duration("frame-timeout", "time that any frame may take", \.server.wire.frameTimeout),
    number(
      "frame-bytes-per-second-min", "bytes a second of a frame, whose time comes on top",
      \.server.wire.frameBytesPerSecondMin),
    duration(
      "write-stall-timeout", "time that answers may stay unread", \.server.writeStallTimeout),
    number(
      "write-bytes-per-second-min", "bytes a second that are read of answers that wait",
      \.server.writeBytesPerSecondMin),
    duration(
      "acknowledgement-timeout", "time that TCP may leave sent bytes unacknowledged",
      \.server.acknowledgementTimeout),
    duration(
      "drain-timeout", "time that open streams have at shutdown", \.server.wire.drainTimeout),
    duration("linger-timeout", "time to read a last Goaway", \.server.wire.lingerTimeout),
    count(
      "read-bytes-per-turn-max", "bytes read of one connection in one turn",
      \.server.readBytesPerTurnMax),
    count(
      "calls-per-turn-max", "calls that one connection starts in one turn",
      \.server.callsPerTurnMax),
    count("output-bytes-max", "unsent bytes above which streams wait", \.server.outputBytesMax),
    count(
      "output-bytes-pause", "bytes of calls at work and of answers above which reading pauses",
      \.server.outputBytesPause),
    duration("accept-pause", "pause of accepting without descriptors", \.server.acceptPause),
  ]

  private static let admissionSettings: [Setting] = [
    count("connections-max", "open connections of the process", \.server.connectionsMax),
    count(
      "connections-per-address-max", "open connections of an address (IPv6: of a /64)",
      \.server.connectionsPerAddressMax),
    count(
      "connections-per-key-max", "open connections of an API key", \.server.connectionsPerKeyMax),
    count(
      "connections-per-organization-max", "open connections of an organization",
      \.server.connectionsPerOrganizationMax),
    count(
      "unauthenticated-max", "open connections that are not greeted yet",
      \.server.unauthenticatedMax),
    count(
      "unauthenticated-per-address-max",
      "open connections of an address that are not greeted yet",
      \.server.unauthenticatedPerAddressMax),
    count(
      "failed-hellos-per-minute-max",
      "refused Hellos of an address in a minute, after which it is answered late",
      \.server.failedHellosPerMinuteMax),
    duration("failed-hello-delay", "how late those are answered", \.server.failedHelloDelay),
    duration(
      "anonymous-timeout", "how long a connection without an API key may stay",
      \.server.anonymousTimeout),
    count(
      "rate-refusals-per-second-max",
      "calls of a connection refused for its key's rate in a second, after which reading pauses",
      \.server.rateRefusalsPerSecondMax),
    duration(
      "rate-refusal-pause", "how long that is, give or take half of it", \.server.rateRefusalPause),
    number(
      "calls-per-second", "calls of an API key in a second; 0 = any number",
      \.server.callsPerSecond, least: 0),
    number(
      "bytes-per-second", "bytes of an API key's messages in a second, both ways; 0 = any number",
      \.server.bytesPerSecond, least: 0),
  ]

  private static let passwordSettings: [Setting] = [
    Setting(
      name: "password-cost",
      help: "how dear a password's hash is: 2^cost KiB of memory; a whole number from "
        + "\(PasswordSettings.costs.lowerBound) to \(PasswordSettings.costs.upperBound)",
      show: { String($0.passwords.cost) },
      read: { options, text in
        guard let cost = Int(text), PasswordSettings.costs.contains(cost) else { return false }
        options.passwords.cost = cost
        return true
      }),
    count(
      "wrong-passwords-max",
      "wrong passwords for an e-mail address in wrong-password-period, after which it has to wait",
      \.passwords.wrongMax),
    count(
      "wrong-passwords-per-address-max",
      "wrong passwords from an address (IPv6: a /64) in wrong-password-period, after which it "
        + "has to wait",
      \.passwords.wrongPerAddressMax),
    duration(
      "wrong-password-period", "the period that both count in", \.passwords.wrongPeriod),
  ]

  private static let streamSettings: [Setting] = [
    number("frame-bytes-max", "bytes of a frame", \.server.wire.frameBytesMax),
    number(
      "greeting-frame-bytes-max", "bytes of a frame before Welcome",
      \.server.wire.greetingFrameBytesMax),
    count("open-streams-max", "open streams of a connection", \.server.wire.openStreamsMax),
    number("stream-window-bytes", "window of a stream", \.server.wire.streamWindowBytes),
    number(
      "connection-window-bytes", "window of a connection", \.server.wire.connectionWindowBytes),
    duration("call-timeout-max", "time that a unary call may take", \.server.wire.callTimeoutMax),
  ]

  private static let floodSettings: [Setting] = [
    number("pings-per-second", "Pings a second", \.server.wire.pingsPerSecond),
    number("ping-burst", "Pings at once", \.server.wire.pingBurst),
    number(
      "control-frames-per-second", "frames a second to no effect",
      \.server.wire.controlFramesPerSecond),
    count("cancels-max", "streams opened and cancelled in cancel-period", \.server.wire.cancelsMax),
    duration("cancel-period", "the period that cancels-max counts in", \.server.wire.cancelPeriod),
    number(
      "cancels-free", "cancels in cancel-period, after which reading pauses after each",
      \.server.wire.cancelsFree, least: 0),
    duration(
      "cancel-pause", "how long that is, give or take half of it", \.server.cancelPause),
    count(
      "key-updates-per-minute-max", "TLS key updates in a minute", \.server.keyUpdatesPerMinuteMax),
  ]

  private static let databaseSettings: [Setting] = [
    count("pool-size", "database connections of all loops together", \.database.poolSize),
    count("pool-overflow", "database connections beyond pool-size", \.database.overflow),
    duration(
      "pool-recycle-after", "age at which a connection is replaced", \.database.recycleAfter),
    duration(
      "database-connect-timeout", "time for one attempt to connect", \.database.connectTimeout),
    count(
      "pool-waiters-max", "calls of a loop that may wait for a connection", \.database.waitersMax),
    duration(
      "pool-wait-patience", "time that a call waits for a connection", \.database.waitPatience),
    duration(
      "database-away-patience", "time that a call waits for a server that is away",
      \.database.awayPatience),
    duration(
      "database-start-patience", "time that `up` waits at its start for a server that is away",
      \.databaseStartPatience),
    count(
      "pool-in-flight-max", "transactions that one connection carries at once",
      \.database.inFlightMax),
    count(
      "pool-reads-per-transaction", "quick reads of one turn that share a round trip; 1: none",
      \.database.readsPerTransaction),
    duration(
      "statement-timeout", "time for statements of calls without a deadline",
      \.database.statementTimeout),
    duration(
      "search-timeout", "time that a statement of a search may take", \.server.searchTimeout),
    duration(
      "slow-statement", "time above which a statement is logged by name", \.database.slowStatement),
    flag(
      "prepare-statements", "off behind PgBouncer in transaction mode",
      \.database.preparesStatements),
  ]

  private static let organizationSettings: [Setting] = [
    choice(
      "organization-creation", "who may create organizations", \.organizations.creation),
    choice("organization-plan", "the plan of new organizations", \.organizations.plan),
    choice(
      "environment", "what the installation is for; sample data is for development alone",
      \.server.environment),
  ]

  private static let generalSettings: [Setting] = [
    count("loops", "event loops; 0 = one per core", \.loops, least: 0),
    flag("log-every-call", "log calls that succeeded, too", \.logsEveryCall),
    duration(
      "housekeeping-interval",
      "time between two runs that make partitions and delete for good",
      \.housekeeping.interval),
    number(
      "purge-batch-rows", "rows that one statement deletes for good", \.housekeeping.batchSize,
      most: 100_000),
    duration(
      "settling-interval",
      "time between two runs that index the last values of metrics",
      \.housekeeping.settlingInterval),
    duration(
      "compaction-interval", "time between two runs that merge chunks of points",
      \.housekeeping.compactionInterval),
    duration(
      "compaction-delay",
      "age from which chunks of points are merged; for so long every token of a watch is good",
      \.housekeeping.compactionDelay),
    number(
      "compaction-batch-chunks", "chunks that one transaction merges",
      \.housekeeping.compactionBatchSize, most: 10_000),
    duration(
      "points-kept-for", "time for which points are kept, except those of pinned runs",
      \.housekeeping.pointsKeptFor),
    duration(
      "rollups-kept-for", "time for which rollups of points are kept, except of pinned runs",
      \.housekeeping.rollupsKeptFor),
    duration(
      "audit-refusal-interval", "time for which refusals of one kind are one audit entry",
      \.server.auditRefusalInterval),
    duration(
      "audit-export-horizon", "age from which an export sends audit entries",
      \.server.auditExportHorizon),
    Setting(
      name: "audit-file", help: "a file to append audit entries to: its full path, or none",
      show: { $0.auditFile ?? "none" },
      read: { options, text in
        guard text == "none" || text.hasPrefix("/") else { return false }
        options.auditFile = text == "none" ? nil : text
        return true
      }),
    Setting(
      name: "log-level", help: "debug, info, notice, warning or error",
      show: { $0.logLevel },
      read: { options, text in
        guard ["debug", "info", "notice", "warning", "error"].contains(text) else { return false }
        options.logLevel = text
        return true
      }),
    Setting(
      name: "tls-minimum-version", help: "the oldest TLS that is spoken: 1.3 or 1.2",
      show: { $0.tls.minimumVersion == .tls13 ? "1.3" : "1.2" },
      read: { options, text in
        guard text == "1.2" || text == "1.3" else { return false }
        options.tls.minimumVersion = text == "1.3" ? .tls13 : .tls12
        return true
      }),
  ]
}

// MARK: Kinds of settings

extension Setting {
  typealias Path<Value> = any WritableKeyPath<ServerOptions, Value> & Sendable

  static func count(
    _ name: String, _ help: String, _ path: Path<Int>, least: Int = 1
  ) -> Setting {
    Setting(
      name: name, help: "\(help); a whole number from \(least)",
      show: { String($0[keyPath: path]) },
      read: { options, text in
        guard let value = Int(text), value >= least else { return false }
        options[keyPath: path] = value
        return true
      })
  }

  static func number<Value: FixedWidthInteger & Sendable>(
    _ name: String, _ help: String, _ path: Path<Value>, least: Value = 1, most: Value = .max
  ) -> Setting {
    Setting(
      name: name,
      help: "\(help); a whole number from \(least)" + (most == .max ? "" : " to \(most)"),
      show: { String($0[keyPath: path]) },
      read: { options, text in
        guard let value = Value(text), value >= least, value <= most else { return false }
        options[keyPath: path] = value
        return true
      })
  }

  private static func flag(_ name: String, _ help: String, _ path: Path<Bool>) -> Setting {
    Setting(
      name: name, help: "\(help); on or off",
      show: { $0[keyPath: path] ? "on" : "off" },
      read: { options, text in
        guard text == "on" || text == "off" else { return false }
        options[keyPath: path] = text == "on"
        return true
      })
  }

  static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
    _ name: String, _ help: String, _ path: Path<Value>
  ) -> Setting {
    let words = Value.allCases.map(\.rawValue)
    return Setting(
      name: name, help: "\(help): \(words.joined(separator: ", "))",
      show: { $0[keyPath: path].rawValue },
      read: { options, text in
        guard let value = Value(rawValue: text) else { return false }
        options[keyPath: path] = value
        return true
      })
  }

  static func duration(_ name: String, _ help: String, _ path: Path<Duration>) -> Setting {
    Setting(
      name: name, help: "\(help); like 250ms, 10s or 5m",
      show: { DurationText.text($0[keyPath: path]) },
      read: { options, text in
        guard let value = DurationText.read(text) else { return false }
        options[keyPath: path] = value
        return true
      })
  }
}

/// Durations as people write them in settings.
enum DurationText {
  private static let units: [(suffix: String, milliseconds: Int64)] = [
    ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000),
  ]

  static func read(_ text: String) -> Duration? {
    for unit in units where text.hasSuffix(unit.suffix) {
      if let count = Int64(text.dropLast(unit.suffix.count)), count > 0, count < 1_000_000_000 {
        return .milliseconds(count * unit.milliseconds)
      }
    }
    return nil
  }

  static func text(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    let milliseconds = seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    return milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000)s" : "\(milliseconds)ms"
  }
}

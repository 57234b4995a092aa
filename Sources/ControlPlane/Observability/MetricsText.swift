internal import EventLoop
internal import Postgres
internal import RPC

/// Counts of the whole process in the text format of Prometheus.
struct MetricsText {
  private var lines: [String] = []

  /// Renders the counts of all loops, added up.
  static func render(
    methods: [String], server: ServerMetrics, databases: [DatabaseMetrics],
    loops: [LoopStatistics], software: String
  ) -> String {
    var text = MetricsText()
    text.head("needletail_build_info", "gauge", "The version that runs.")
    text.line("needletail_build_info", [("version", software)], 1)
    text.calls(methods, server)
    text.connections(server)
    text.records(server)
    text.database(databases)
    text.head("needletail_loop_turns_total", "counter", "Turns of each event loop.")
    for (index, loop) in loops.enumerated() {
      text.line("needletail_loop_turns_total", [("loop", "\(index)")], Double(loop.turns))
    }
    return text.lines.joined(separator: "\n") + "\n"
  }

  private mutating func calls(_ methods: [String], _ server: ServerMetrics) {
    head("needletail_rpc_started_total", "counter", "Calls that were started.")
    for (index, method) in methods.enumerated() {
      line("needletail_rpc_started_total", [("method", method)], Double(server.started(index)))
    }
    head("needletail_rpc_handled_total", "counter", "Calls that ended, by code.")
    for (index, method) in methods.enumerated() {
      for (code, count) in server.ended(index).enumerated() where count > 0 {
        line(
          "needletail_rpc_handled_total", [("method", method), ("code", MetricsText.codes[code])],
          Double(count))
      }
    }
    head("needletail_rpc_duration_seconds", "histogram", "From a call's arrival to its end.")
    for (index, method) in methods.enumerated() where server.started(index) > 0 {
      histogram("needletail_rpc_duration_seconds", method, index, server)
    }
  }

  private mutating func histogram(
    _ name: String, _ method: String, _ index: Int, _ metrics: ServerMetrics
  ) {
    var sum: UInt64 = 0
    for (bucket, count) in metrics.durations(index).dropLast().enumerated() {
      sum += count
      let bound = Double(UInt64(1) << UInt64(bucket)) / 1_000_000
      line("\(name)_bucket", [("method", method), ("le", "\(bound)")], Double(sum))
    }
    sum += metrics.durations(index).last ?? 0
    line("\(name)_bucket", [("method", method), ("le", "+Inf")], Double(sum))
    line(
      "\(name)_sum", [("method", method)],
      Double(metrics.durationSumMicroseconds(index)) / 1_000_000)
    line("\(name)_count", [("method", method)], Double(sum))
  }

  private mutating func connections(_ server: ServerMetrics) {
    gauge("needletail_connections", "Open connections.", Double(server.connections))
    gauge("needletail_open_streams", "Open streams.", Double(server.openStreams))
    counter("needletail_connections_accepted_total", "Accepted.", server.connectionsAccepted)
    head(
      "needletail_connections_refused_total", "counter", "Refused, because too many were open.")
    for limit in ConnectionLimit.allCases {
      line(
        "needletail_connections_refused_total", [("limit", limit.name)],
        Double(server.connectionsRefused[limit.rawValue]))
    }
    counter(
      "needletail_tls_handshake_failures_total", "Failed handshakes.", server.handshakeFailures)
    counter("needletail_hello_refused_total", "Refused Hellos.", server.helloRefused)
    counter(
      "needletail_keys_ended_total", "Connections that ended with their keys.", server.keysEnded)
    counter(
      "needletail_project_roles_read_total", "Roles in projects that were not in the cache.",
      server.rolesRead)
    counter(
      "needletail_hello_delayed_total", "Hellos answered late.", server.helloDelayed)
    counter(
      "needletail_calls_rate_limited_total", "Calls beyond the rate of their key.",
      server.callsRateLimited)
    counter(
      "needletail_connections_penalized_total",
      "Times that a connection was not read for a while after too many refused or cancelled calls.",
      server.connectionsPenalized)
    counter(
      "needletail_streams_paced_total", "Times that streams waited for the rate of their key.",
      server.streamsPaced)
    counter("needletail_floods_total", "Connections told to calm down.", server.floods)
    counter(
      "needletail_protocol_errors_total", "Connections that broke a rule.", server.protocolErrors)
    counter(
      "needletail_slow_readers_total", "Connections dropped because the peer did not read.",
      server.slowReaders)
    counter(
      "needletail_streams_refused_total", "Calls beyond the open streams of a connection.",
      server.streamsRefused)
    counter("needletail_read_bytes_total", "Bytes read, after decryption.", server.bytesRead)
    counter(
      "needletail_written_bytes_total", "Bytes written, before encryption.", server.bytesWritten)
    counter(
      "needletail_stream_credit_stalls_total", "Times that a stream waited for credit.",
      server.creditStalls)
  }

  private mutating func records(_ server: ServerMetrics) {
    counter("needletail_passwords_wrong_total", "Wrong passwords.", server.passwordsWrong)
    counter(
      "needletail_passwords_throttled_total",
      "Passwords that were not looked at, because too many were wrong before.",
      server.passwordsThrottled)
    counter(
      "needletail_audit_refusals_dropped_total",
      "Refused attempts that no entry of the audit log counts.", server.auditRefusalsDropped)
    counter(
      "needletail_audit_sink_dropped_total",
      "Entries that a sink of the audit log was too slow for.", server.auditSinkDropped)
    counter(
      "needletail_purged_rows_total", "Rows removed for good after their recovery.",
      server.rowsPurged)
    upkeep(server)
  }

  private mutating func upkeep(_ server: ServerMetrics) {
    let tasks = server.upkeep.sorted { $0.key < $1.key }
    head("needletail_maintenance_runs_total", "counter", "Runs of each task of upkeep here.")
    for (name, counts) in tasks {
      line("needletail_maintenance_runs_total", [("task", name)], Double(counts.runs))
    }
    head("needletail_maintenance_failures_total", "counter", "Those of them that failed.")
    for (name, counts) in tasks {
      line("needletail_maintenance_failures_total", [("task", name)], Double(counts.failures))
    }
    head("needletail_maintenance_rows_total", "counter", "Rows that they dealt with.")
    for (name, counts) in tasks {
      line("needletail_maintenance_rows_total", [("task", name)], Double(counts.rows))
    }
    head("needletail_maintenance_seconds_total", "counter", "Time that they took.")
    for (name, counts) in tasks {
      line(
        "needletail_maintenance_seconds_total", [("task", name)],
        Double(counts.microseconds) / 1_000_000)
    }
  }

  private mutating func database(_ all: [DatabaseMetrics]) {
    func sum(_ value: (DatabaseMetrics) -> Int) -> Double {
      Double(all.reduce(0) { $0 + value($1) })
    }
    func total(_ value: (DatabaseMetrics) -> UInt64) -> UInt64 { all.reduce(0) { $0 + value($1) } }
    gauge("needletail_pg_pool_in_use", "Connections in use.", sum(\.connectionsInUse))
    gauge("needletail_pg_pool_idle", "Idle connections.", sum(\.connectionsIdle))
    gauge("needletail_pg_pool_connecting", "Being connected.", sum(\.connectionsConnecting))
    gauge("needletail_pg_pool_overflow", "Beyond the pool's size.", sum(\.connectionsOverflow))
    gauge("needletail_pg_pool_waiters", "Calls that wait for a connection.", sum(\.waiters))
    counter("needletail_pg_pool_waits_total", "Waits for a connection.", total(\.waits))
    head("needletail_pg_pool_wait_seconds_total", "counter", "Time spent in those waits.")
    line(
      "needletail_pg_pool_wait_seconds_total", [],
      Double(total { $0.waitTotal.wholeNanoseconds / 1_000 }) / 1_000_000)
    counter("needletail_pg_statements_total", "Statements run.", total(\.statements))
    counter("needletail_pg_errors_total", "Statements refused.", total(\.errors))
    counter("needletail_pg_slow_statements_total", "Slow statements.", total(\.slowStatements))
    counter("needletail_pg_connects_total", "Connections made.", total(\.connects))
    counter("needletail_pg_connect_failures_total", "Failed attempts.", total(\.connectFailures))
    counter("needletail_pg_connections_lost_total", "Connections lost.", total(\.connectionsLost))
  }

  // MARK: The format

  private static let codes = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
  ]

  private mutating func head(_ name: String, _ kind: String, _ help: String) {
    lines.append("# HELP \(name) \(help)")
    lines.append("# TYPE \(name) \(kind)")
  }

  private mutating func gauge(_ name: String, _ help: String, _ value: Double) {
    head(name, "gauge", help)
    line(name, [], value)
  }

  private mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
    head(name, "counter", help)
    line(name, [], Double(value))
  }

  private mutating func line(_ name: String, _ labels: [(String, String)], _ value: Double) {
    let text = labels.map { "\($0.0)=\"\(MetricsText.escaped($0.1))\"" }.joined(separator: ",")
    let number =
      value == value.rounded() && value.magnitude < 1e15
      ? String(Int64(value)) : String(value)
    lines.append(text.isEmpty ? "\(name) \(number)" : "\(name){\(text)} \(number)")
  }

  private static func escaped(_ label: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in label.unicodeScalars {
      switch scalar {
      case "\\", "\"":
        result.append("\\")
        result.append(scalar)
      case "\n": result.append(contentsOf: "\\n".unicodeScalars)
      default: result.append(scalar)
      }
    }
    return String(result)
  }
}

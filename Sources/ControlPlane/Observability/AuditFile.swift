internal import Foundation
internal import Logging
internal import Postgres
internal import RPC
internal import Synchronization

/// Appends the audit log's entries to a file, one JSON object a line.
///
/// The file may be moved away: after ``reopen()`` the next entries go to a new one.
final class AuditFile: AuditSink {
  private let path: String
  private let logger: Logger
  private let state: Mutex<State>
  /// Apart from the state, which a slow disk may hold for long.
  private let mustReopen = Atomic<Bool>(false)

  private struct State {
    var descriptor: Int32
    /// Whether the last line was cut off in the middle.
    var isCut = false
    var hasFailed = false
  }

  /// Opens the file, or makes it with mode 0600.
  ///
  /// - Throws: ``ControlPlaneError`` that names the file.
  init(_ path: String, _ logger: Logger) throws(ControlPlaneError) {
    self.path = path
    self.logger = logger
    let descriptor = AuditFile.open(path)
    guard descriptor >= 0 else {
      throw ControlPlaneError(
        "the audit file \(path) cannot be opened: \(unsafe String(cString: strerror(errno)))")
    }
    state = Mutex(State(descriptor: descriptor))
  }

  deinit { state.withLock { _ = close($0.descriptor) } }

  private static func open(_ path: String) -> Int32 {
    unsafe Foundation.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
  }

  /// Lets what comes next go to the file that has the name then.
  func reopen() { mustReopen.store(true, ordering: .relaxed) }

  func receive(_ entries: [AuditRecord]) {
    state.withLock { state in
      if mustReopen.exchange(false, ordering: .relaxed) { replace(&state) }
      var bytes = state.isCut ? [UInt8(ascii: "\n")] : []
      for entry in entries { bytes += AuditFile.line(entry).utf8 }
      let isWhole = AuditFile.write(bytes, state.descriptor)
      state.isCut = !isWhole
      if !isWhole, !state.hasFailed { complain("written") }
      state.hasFailed = !isWhole
    }
  }

  private func replace(_ state: inout State) {
    let descriptor = AuditFile.open(path)
    guard descriptor >= 0 else { return complain("opened again") }
    close(state.descriptor)
    state = State(descriptor: descriptor)
  }

  private func complain(_ what: String) {
    logger.error(
      "the audit file cannot be \(what)",
      metadata: [
        "file": "\(path)", "error": "\(unsafe String(cString: strerror(errno)))",
      ])
  }

  private static func write(_ bytes: [UInt8], _ descriptor: Int32) -> Bool {
    var offset = 0
    while offset < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Foundation.write(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      offset += count
    }
    return true
  }

  /// An entry with the names that it has in the API.
  static func line(_ entry: AuditRecord) -> String {
    var fields: [(String, String?)] = [
      ("id", entry.id.description), ("organization_id", entry.organizationID.description),
      ("created_at", RFC3339.text(microseconds: entry.createdAt)),
      ("actor_type", entry.actorType), ("actor_id", entry.actorID.description),
      ("actor_label", entry.actorLabel), ("api_key_id", entry.apiKeyID.description),
      ("action", entry.action), ("outcome", entry.outcome), ("reason", entry.reason),
      ("resource_type", entry.resourceType), ("resource_id", entry.resourceID?.description),
    ]
    fields += [
      ("project_id", entry.projectID?.description), ("ip_address", entry.ipAddress),
      ("client", entry.client), ("request_id", entry.requestID),
    ]
    let texts = fields.compactMap { name, value in
      value.map { "\(JSONText.quoted(name)):\(JSONText.quoted($0))" }
    }
    // Only between tokens may JSON have line breaks as they are.
    let details = String(
      String.UnicodeScalarView(
        entry.detailsJSON.unicodeScalars.map { $0 == "\n" || $0 == "\r" ? " " : $0 }))
    return "{" + texts.joined(separator: ",") + ",\"details\":\(details)}\n"
  }
}

import Foundation
import Logging
import Postgres
import RPC
import Testing

@testable import ControlPlane

/// Audit entries as lines of a file.
struct AuditFileTests {
  private let folder = FileManager.default.temporaryDirectory
    .appendingPathComponent("audit-\(Foundation.UUID())")
  private var path: String { folder.appendingPathComponent("audit.jsonl").path }

  init() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  private static func entry(_ label: String, details: String = "{}") -> AuditRecord {
    AuditRecord(
      id: .zero, organizationID: .zero, actorType: "user", actorID: .zero, actorLabel: label,
      apiKeyID: .zero, action: "run.create", outcome: "success", reason: nil, resourceType: "run",
      resourceID: nil, projectID: .zero, detailsJSON: details, ipAddress: "127.0.0.1",
      client: "tests", requestID: "r-1", createdAt: 1_700_000_000_000_001)
  }

  private func lines(_ path: String) throws -> [[String: Any]] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
      return try #require(object as? [String: Any])
    }
  }

  @Test("An entry is one line, whatever its texts hold, and what it lacks is left out")
  func line() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = try AuditFile(path, Logger(label: "test"))
    let label = "a \"quoted\"\nline\u{2028}\u{7} ünïcode"
    file.receive([
      Self.entry(label, details: "{\n\"before\": {},\r\n\"after\": {\"name\": \"x\u{2028}y\"}}"),
      Self.entry("second"),
    ])
    let read = try lines(path)
    #expect(read.map { $0["actor_label"] as? String } == [label, "second"])
    #expect(read[0]["created_at"] as? String == "2023-11-14T22:13:20.000001Z")
    #expect(read[0]["reason"] == nil && read[0]["resource_id"] == nil)
    let details = try #require(read[0]["details"] as? [String: [String: String]])
    #expect(details["after"] == ["name": "x\u{2028}y"])
  }

  @Test("A file that is there is appended to, and after a rotation a new one is made")
  func reopen() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data("{\"actor_label\":\"former\"}\n".utf8).write(to: URL(fileURLWithPath: path))
    let file = try AuditFile(path, Logger(label: "test"))
    file.receive([Self.entry("one")])
    try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
    file.receive([Self.entry("two")])
    file.reopen()
    file.receive([Self.entry("three")])
    func labels(_ path: String) throws -> [String?] {
      try lines(path).map { $0["actor_label"] as? String }
    }
    #expect(try labels(path + ".1") == ["former", "one", "two"])
    #expect(try labels(path) == ["three"])
  }

  @Test("A file that cannot be opened is named")
  func missingFolder() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("absent/audit.jsonl").path
    let error = #expect(throws: ControlPlaneError.self) {
      _ = try AuditFile(path, Logger(label: "test"))
    }
    #expect(error?.description.contains(path) == true)
  }

  @Test("When the file cannot be opened again, the entries go on to the old one")
  func failedReopen() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = try AuditFile(path, Logger(label: "test"))
    try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    file.reopen()
    file.receive([Self.entry("kept")])
    #expect(try lines(path + ".1").count == 1)
  }
}

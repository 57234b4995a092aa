import Foundation
import Glibc
import Synchronization
import Testing

@testable import ControlPlane

/// A data folder for a test, with what happened in it; its PostgreSQL ends with the value.
final class Place: Sendable {
  let path: String
  private let seen = Events()

  init(length: Int = 0) throws {
    var path = "/tmp/nte-\(UUID().uuidString.prefix(8))"
    if path.utf8.count < length { path += String(repeating: "x", count: length - path.utf8.count) }
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    #expect(unsafe chmod(path, 0o755) == 0)
  }

  func postgres(
    _ change: (inout EmbeddedPostgresSettings) -> Void = { _ in }
  ) -> EmbeddedPostgres {
    var settings = EmbeddedPostgresSettings(dataFolder: path)
    change(&settings)
    let seen = seen
    return EmbeddedPostgres(settings) { seen.append($0) }
  }

  var events: [EmbeddedPostgresEvent] { seen.all }

  /// Waits for an event, as long as the test may take.
  func awaitEvent(_ isWanted: (EmbeddedPostgresEvent) -> Bool) async throws {
    for await event in seen.stream where isWanted(event) { return }
    throw CancellationError()
  }

  /// Waits until a statement gives a row, for half a minute at most.
  func awaitRow(_ url: String, _ statement: String) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await query(url, statement).isEmpty {
      try #require(ContinuousClock.now < deadline)
    }
  }

  /// Runs a statement, and gives its answer without decoration.
  func query(_ url: String, _ statement: String) async throws -> String {
    let process = try startQuery(url, statement)
    guard let pipe = process.standardOutput as? Pipe else { return "" }
    let answer = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(statement)")
    return String(decoding: answer, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  func startQuery(_ url: String, _ statement: String) throws -> Process {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["psql", "-X", "-q", "-A", "-t", "-c", statement, url]
    process.standardOutput = Pipe()
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  func mode(_ name: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")[.posixPermissions] as? Int
  }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(name)") }

  func read(_ name: String) throws -> String {
    try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
  }

  /// Replaces what a file holds; it stays its owner's.
  func write(_ name: String, _ text: String) throws {
    let isNew = !exists(name)
    let mode = isNew ? "w" : "r+"
    let opened = unsafe fopen("\(path)/\(name)", mode)
    guard let file = unsafe opened else { throw CocoaError(.fileWriteUnknown) }
    defer { unsafe fclose(file) }
    unsafe ftruncate(fileno(file), 0)
    unsafe fputs(text, file)
    if isNew { give(name) }
  }

  /// Gives a file or folder to the user that PostgreSQL runs as.
  func give(_ name: String) {
    guard let account = try? Account.forPostgres(nil) else { return }
    unsafe chown("\(path)/\(name)", account.user, account.group)
    unsafe chmod("\(path)/\(name)", 0o700)
  }

  deinit {
    for pid in ClusterProcesses(dataFolder: path + "/postgres/data").all() { kill(pid, SIGKILL) }
    // What is gone already is as good.
    try? FileManager.default.removeItem(atPath: path)
  }
}

/// Events in the order in which they came.
private final class Events: Sendable {
  private let list = Mutex<[EmbeddedPostgresEvent]>([])
  private let more: AsyncStream<EmbeddedPostgresEvent>.Continuation
  let stream: AsyncStream<EmbeddedPostgresEvent>

  init() { (stream, more) = AsyncStream.makeStream() }

  var all: [EmbeddedPostgresEvent] { list.withLock { $0 } }
  func append(_ event: EmbeddedPostgresEvent) {
    list.withLock { $0.append(event) }
    more.yield(event)
  }
}

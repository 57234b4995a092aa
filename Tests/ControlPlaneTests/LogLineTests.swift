import Foundation
import Logging
import Testing

@testable import ControlPlane

/// Log lines, and the thread that writes them.
struct LogLineTests {
  /// The lines that `body` logs, as they are in the file.
  private static func lines(
    level: Logger.Level = .debug, _ body: (inout Logger) -> Void
  ) throws -> [String] {
    let file = FileManager.default.temporaryDirectory
      .appendingPathComponent("needletail-log-\(UUID().uuidString)")
    #expect(FileManager.default.createFile(atPath: file.path, contents: nil))
    defer { try? FileManager.default.removeItem(at: file) }
    let handle = try FileHandle(forWritingTo: file)
    defer { try? handle.close() }
    let writer = LogWriter(descriptor: handle.fileDescriptor)
    var logger = Logger(label: "needletail") { label in
      JSONLinesHandler(writer, label: label, level: level)
    }
    body(&logger)
    writer.flush()
    let text = try String(contentsOf: file, encoding: .utf8)
    #expect(text.isEmpty || text.hasSuffix("\n"))
    return text.split(separator: "\n").map(String.init)
  }

  private static func object(_ line: String) throws -> [String: Any] {
    try #require(
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
  }

  @Test("A line is one JSON object: time, level, logger, message, then the metadata by name")
  func form() throws {
    let lines = try Self.lines { logger in
      logger[metadataKey: "zone"] = "a"
      logger.notice("serving", metadata: ["port": "7443", "address": "127.0.0.1"])
    }
    #expect(lines.count == 1)
    let line = try #require(lines.first)
    let form =
      /\{"time":"[-0-9]{10}T[:0-9]{8}\.\d{6}Z","level":"notice","logger":"needletail",(.*)\}/
    let rest = try #require(try form.wholeMatch(in: line)?.1)
    #expect(
      rest == #""message":"serving","address":"127.0.0.1","port":"7443","zone":"a""#)
  }

  @Test(
    "Any text stays one line of JSON and comes back as it was",
    arguments: [
      "", #"a"b\c/d"#, "a\nb\r\nc\t", "\u{0}\u{1}\u{1F}\u{7F}", "é日😀", "e\u{301}",
      "\u{2028}\u{2029}\u{85}", #"{"not":"json"}"#, #"\u0041"#, "\u{10FFFF}\u{FEFF}",
    ])
  func odd(text: String) throws {
    let lines = try Self.lines { logger in
      logger.info("\(text)", metadata: ["value": "\(text)", "k\(text)": .string(text)])
    }
    #expect(lines.count == 1)
    let object = try Self.object(try #require(lines.first))
    for name in ["message", "value", "k\(text)"] {
      let value = try #require(object[name] as? String, "\(name)")
      #expect(value.unicodeScalars.elementsEqual(text.unicodeScalars), "\(name)")
    }
  }

  @Test(
    "Numbers stay numbers; what JSON has no number for is text",
    arguments: [
      (.stringConvertible(5), "5"), (.stringConvertible(-0.25), "-0.25"),
      (.stringConvertible(1e300), "1e+300"), (.stringConvertible(UInt64.max), "\(UInt64.max)"),
      (.stringConvertible(Double.nan), #""nan""#),
      (.stringConvertible(Double.infinity), #""inf""#),
      (.stringConvertible(true), #""true""#), (.string("5"), #""5""#),
      (.array(["a", "b"]), nil), (.dictionary(["a": "b"]), nil),
    ] as [(Logger.MetadataValue, String?)])
  func values(value: Logger.MetadataValue, expected: String?) throws {
    let lines = try Self.lines { $0.info("x", metadata: ["value": value]) }
    let line = try #require(lines.first)
    #expect(try Self.object(line)["value"] != nil)
    if let expected { #expect(line.hasSuffix(#","value":\#(expected)}"#), "\(line)") }
  }

  @Test("The metadata of a line wins over the logger's; lines below the level are left out")
  func levels() throws {
    let lines = try Self.lines(level: .warning) { logger in
      logger[metadataKey: "a"] = "logger"
      logger.info("no")
      logger.error("yes", metadata: ["a": "line"])
    }
    #expect(lines.count == 1)
    #expect(try Self.object(try #require(lines.first))["a"] as? String == "line")
  }

  @Test("Lines that nobody takes are dropped beyond the bound, and counted once somebody does")
  func bound() throws {
    let pipe = Pipe()
    let writer = LogWriter(descriptor: pipe.fileHandleForWriting.fileDescriptor)
    let count = 10_000
    // More than the writer holds, what it took already and the pipe together.
    let line = #"{"x":""# + String(repeating: "x", count: 1_024) + #""}"#
    for _ in 0..<count { writer.write(line) }
    var kept = 0
    var dropped = 0
    var rest = Data()
    // The writer may say more than once how many it has dropped so far.
    while kept + dropped < count {
      rest.append(pipe.fileHandleForReading.availableData)
      while let end = rest.firstIndex(of: 10) {
        let object = try Self.object(String(decoding: rest[..<end], as: UTF8.self))
        rest.removeSubrange(...end)
        if let number = object["count"] as? Int { dropped += number } else { kept += 1 }
      }
    }
    #expect(dropped > 0)
    #expect(kept + dropped == count)
  }

  @Test(
    "A trace's id is taken from a traceparent of the right form alone",
    arguments: [
      (
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "4bf92f3577b34da6a3ce929d0e0e4736"
      ),
      ("", nil), ("00", nil), ("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", nil),
      ("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", nil), ("---", nil),
      ("00-4bf92f3577b34da6a3ce929d0e0e4736", nil),
    ])
  func trace(text: String, expected: String?) {
    #expect(ServerObserver.traceID(text) == expected)
  }
}

/// Times in log lines.
struct RFC3339Tests {
  @Test(
    "Known moments",
    arguments: [
      (0, "1970-01-01T00:00:00.000000Z"), (1, "1970-01-01T00:00:00.000001Z"),
      (-1, "1969-12-31T23:59:59.999999Z"),
      (951_782_399_000_000, "2000-02-28T23:59:59.000000Z"),
      (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
      (951_868_800_000_000, "2000-03-01T00:00:00.000000Z"),
      (1_709_164_800_000_000, "2024-02-29T00:00:00.000000Z"),
      (1_677_628_800_000_000, "2023-03-01T00:00:00.000000Z"),
      (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
      (4_107_456_000_000_000, "2100-02-28T00:00:00.000000Z"),
      (-2_203_891_200_000_000, "1900-03-01T00:00:00.000000Z"),
      (1_735_689_599_999_999, "2024-12-31T23:59:59.999999Z"),
      (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
      (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
    ] as [(Int64, String)])
  func known(microseconds: Int64, expected: String) {
    #expect(RFC3339.text(microseconds: microseconds) == expected)
  }

  @Test("Every day of 800 years around 2000 is the C library's")
  func days() {
    for day in Int64(-146_097)..<146_097 {
      var seconds = time_t(day * 86_400 + 45_296)
      var parts = unsafe tm()
      _ = unsafe gmtime_r(&seconds, &parts)
      let text = RFC3339.text(microseconds: Int64(seconds) * 1_000_000 + 789)
      let expected = unsafe String(
        format: "%04d-%02d-%02dT12:34:56.000789Z", Int(parts.tm_year) + 1_900,
        Int(parts.tm_mon) + 1, Int(parts.tm_mday))
      guard text == expected else {
        Issue.record("day \(day): \(text), expected \(expected)")
        return
      }
    }
  }
}

@testable import Messages
import TestSupport
import Testing

/// Bytes that the scan refuses, with the path and the problem it names.
struct Refused: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let bytes: [UInt8]
  let error: MessageError

  init(_ name: String, _ path: String, _ problem: MessageError.Problem, _ bytes: [UInt8]) {
    testDescription = name
    self.bytes = bytes
    error = MessageError(path: path, problem: problem)
  }

  init(
    _ name: String, _ path: String, _ problem: MessageError.Problem, _ write: (inout Wire) -> Void
  ) {
    self.init(name, path, problem, Wire.make(write))
  }
}

@Suite struct RefusalTests {
  static let batches = [
    Refused("text that is not UTF-8, deep inside", "runs[3].series[0].key", .notUTF8) { wire in
      for _ in 0..<3 { wire.message(3) { $0.text(1, "run") } }
      wire.message(3) { run in
        run.text(1, "run")
        run.message(2) { $0.contents(1, [0x61, 0xFF]) }
      }
    },
    Refused("NUL in text", "runs[0].series[1].key", .containsNUL) { wire in
      wire.message(3) { run in
        run.message(2) { $0.text(1, "loss") }
        run.message(2) { $0.contents(1, Array("0123456789abcdef".utf8) + [0]) }
      }
    },
    Refused("a singular field given twice", "writer_id", .givenTwice) { wire in
      wire.text(1, "a")
      wire.text(1, "a")
    },
    Refused("a packed column of odd length", "runs[0].series[0].values", .truncated) { wire in
      wire.message(3) { $0.message(2) { $0.contents(4, [1, 2, 3]) } }
    },
    Refused("a packed column cut within a number", "runs[0].series[0].steps", .truncated) { wire in
      wire.message(3) { $0.message(2) { $0.contents(2, [1, 0x80]) } }
    },
    Refused("a number of eleven bytes in a column", "runs[0].series[0].steps", .varintTooLong) {
      let long = [UInt8](repeating: 0x80, count: 10) + [0]
      $0.message(3) { $0.message(2) { $0.contents(2, long) } }
    },
    Refused("a text where a number belongs", "sequence", .wireTypeMismatch) { $0.text(2, "1") },
    Refused("a number where a message belongs", "runs[0]", .wireTypeMismatch) { $0.varint(3, 1) },
    Refused("eight bytes where four or a varint belong", "sequence", .wireTypeMismatch) {
      $0.fixed64(2, 1)
    },
    Refused("a length beyond the end", "writer_id", .truncated, [0x0A, 0x05, 0x61]),
    Refused("a length beyond the message around it", "runs[0].run_id", .truncated) {
      $0.contents(3, [0x0A, 0x05])
      $0.text(1, "abcdef")
    },
    Refused("a length of six bytes", "writer_id", .varintTooLong) {
      $0.raw([0x0A, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 0x61])
    },
    Refused("a tag without a value", "sequence", .truncated, [0x10]),
    Refused("half a tag", "", .truncated, [0x80]),
    Refused("a tag of six bytes", "", .varintTooLong, [0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01]),
    Refused("half a fixed number that nobody knows", "", .truncated, [0x79, 1, 2, 3]),
    Refused("field number 0", "", .fieldNumberInvalid, [0x00, 0x01]),
    Refused("a field number that is too large", "", .fieldNumberInvalid) {
      $0.varint(UInt64(536_870_912) << 3)
      $0.varint(1)
    },
    Refused("a group that nobody knows", "", .wireTypeInvalid, [0x7B, 0x7C]),
    Refused("a group in place of a message", "runs[0]", .wireTypeMismatch, [0x1B, 0x1C]),
    Refused("wire type 7", "", .wireTypeInvalid, [0x7F, 0x01]),
    Refused("a number of ten bytes beyond 64 bits", "sequence", .varintTooLong) {
      $0.raw([0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02])
    },
    Refused("a number of eleven bytes", "sequence", .varintTooLong) {
      $0.raw([0x10] + [UInt8](repeating: 0xFF, count: 10) + [0x01])
    },
    Refused("one element too many", "runs[20000]", .tooManyElements) { wire in
      for _ in 0...MessageLimits.elementsMax { wire.contents(3, []) }
    },
    Refused("one element too many in all", "runs[1].series[19998]", .tooManyElements) { wire in
      wire.message(3) { run in run.text(1, "first") }
      wire.message(3) { run in
        for _ in 0..<19_999 { run.contents(2, []) }
      }
    },
    Refused("one column too many", "runs[0].series[1].steps", .tooManyElements) { wire in
      wire.message(3) { run in
        run.message(2) { series in
          for _ in 0..<MessageLimits.columnsMax { series.contents(2, []) }
        }
        run.message(2) { series in series.contents(2, []) }
      }
    },
    Refused("one number too many that is alone", "runs[0].series[0].steps", .tooManyElements) {
      wire in
      wire.message(3) { run in
        run.message(2) { series in
          for _ in 2...MessageLimits.elementsMax { series.raw([0x10, 0x02]) }
        }
      }
    },
  ]

  @Test("A batch is refused with the path of what is wrong", arguments: batches)
  func batch(refused: Refused) {
    #expect(throws: refused.error) { try AppendMetricsRequest.decode(refused.bytes) }
  }

  static let choices = [
    Refused("a member of a oneof given twice", "of_string", .givenTwice) { wire in
      wire.text(1, "a")
      wire.text(1, "b")
    },
    Refused("two members of a oneof", "of_message", .givenTwice) { wire in
      wire.text(1, "a")
      wire.contents(6, [])
    },
    Refused("a time after the year 9999", "of_timestamp", .timeOutOfRange) {
      $0.message(7) { $0.varint(1, 253_402_300_800) }
    },
    Refused("a time before the year 1", "of_timestamp", .timeOutOfRange) {
      $0.message(7) { $0.varint(1, UInt64(bitPattern: -62_135_596_801)) }
    },
    Refused("negative nanoseconds", "of_timestamp", .timeOutOfRange) {
      $0.message(7) { $0.varint(2, UInt64(bitPattern: -1)) }
    },
    Refused("a billion nanoseconds", "of_timestamp", .timeOutOfRange) {
      $0.message(7) { $0.varint(2, 1_000_000_000) }
    },
  ]

  @Test("A choice is refused with the path of what is wrong", arguments: choices)
  func choice(refused: Refused) {
    #expect(throws: refused.error) { try Choice.decode(refused.bytes) }
  }

  static let maps = [
    Refused("a key given twice", "texts[2]", .keyGivenTwice) { wire in
      wire.message(1) { $0.text(1, "a") }
      wire.message(1) { $0.text(1, "b") }
      wire.message(1) { $0.text(1, "a") }
    },
    Refused("the empty key given twice, once by absence", "numbers[1]", .keyGivenTwice) { wire in
      wire.message(2) { $0.text(1, "") }
      wire.message(2) { $0.varint(2, 2) }
    },
    Refused("an entry's key given twice", "texts[0].key", .givenTwice) {
      $0.message(1) { entry in
        entry.text(1, "a")
        entry.text(1, "a")
      }
    },
    Refused("NUL in a key", "texts[0].key", .containsNUL) {
      $0.message(1) { $0.text(1, "\0") }
    },
    Refused("too many entries", "texts[20000]", .tooManyElements) { wire in
      for index in 0...MessageLimits.elementsMax { wire.message(1) { $0.text(1, "\(index)") } }
    },
    Refused("bad text in a map's message", "messages[0].value.default", .notUTF8) {
      $0.message(3) { $0.message(2) { $0.contents(8, [0xC0, 0x80]) } }
    },
  ]

  @Test("Maps are refused with the path of what is wrong", arguments: maps)
  func map(refused: Refused) {
    #expect(throws: refused.error) { try Maps.decode(refused.bytes) }
  }

  @Test("A map of ten thousand distinct keys in any order is accepted")
  func largeMap() throws {
    var random = SplitMix(seed: 1)
    let keys = (0..<MessageLimits.elementsMax).map { "key \($0)" }.shuffled(using: &random)
    let bytes = Wire.make { wire in
      for key in keys { wire.message(1) { $0.text(1, key) } }
    }
    #expect(try Maps.decode(bytes).texts.count == MessageLimits.elementsMax)
  }

  @Test("32 messages within one another are accepted, 33 are refused")
  func nesting() throws {
    func nested(_ levels: Int) -> [UInt8] {
      (1..<levels).reduce([]) { inner, _ in Wire.make { $0.contents(1, inner) } }
    }
    #expect(try Deep01.decode(nested(32)).next != nil)
    let path = (1...32).map { _ in "next" }.joined(separator: ".")
    #expect(throws: MessageError(path: path, problem: .nestedTooDeep)) {
      try Deep01.decode(nested(33))
    }
  }

  @Test(
    "Text is refused unless it is well-formed UTF-8, wherever it stands",
    arguments: [
      [0x80], [0xC2], [0xC0, 0xAF], [0xC1, 0xBF], [0xE0, 0x9F, 0x80], [0xE2, 0x82],
      [0xED, 0xA0, 0x80], [0xF0, 0x8F, 0x80, 0x80], [0xF0, 0x9F, 0x9A], [0xF4, 0x90, 0x80, 0x80],
      [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x28, 0xA1], [0xF0, 0x9F, 0x28, 0x80],
    ] as [[UInt8]])
  func badText(bad: [UInt8]) {
    for prefix in 0..<20 {
      for suffix in 0..<9 {
        let before = [UInt8](repeating: 0x61, count: prefix)
        let after = [UInt8](repeating: 0x62, count: suffix)
        let bytes = Wire.make { $0.contents(9, before + bad + after) }
        #expect(throws: MessageError(path: "of_string", problem: .notUTF8)) {
          try Scalars.decode(bytes)
        }
      }
    }
  }

  @Test("Every scalar value of Unicode but U+0000 is accepted as text")
  func allText() throws {
    let scalars = (1...0x10FFFF).compactMap { Unicode.Scalar($0) }
    for start in stride(from: 0, to: scalars.count, by: 10_007) {
      var text = String.UnicodeScalarView()
      text.append(contentsOf: scalars[start..<min(start + 10_007, scalars.count)])
      var message = Scalars()
      message.ofString = String(text)
      let decoded = try Scalars.decode(message.encoded)
      #expect(decoded.ofString.utf8.elementsEqual(message.ofString.utf8))
    }
  }

  @Test("A message of nothing but unknown fields runs into the budget, not the machine's memory")
  func budget() {
    let bytes = Wire.make { wire in
      for _ in 0..<200_000 { wire.varint(15, 0) }
    }
    #expect(throws: MessageError(path: "", problem: .tooMuchMemory)) {
      try WhoAmIRequest.decode(bytes)
    }
  }

  @Test("A refusal leaves the arena fit for the next message")
  func afterRefusal() throws {
    for refused in Self.batches {
      #expect(throws: refused.error) { try AppendMetricsRequest.decode(refused.bytes) }
      let good = AppendMetricsRequest(writerID: "w", sequence: 1, runs: [])
      #expect(try AppendMetricsRequest.decode(good.encoded) == good)
    }
  }

  @Test("An error says where and what in one sentence")
  func descriptions() {
    let inside = MessageError(path: "runs[3].key", problem: .notUTF8)
    #expect("\(inside)" == "runs[3].key is not valid UTF-8")
    #expect("\(MessageError(path: "", problem: .truncated))" == "the message ends too early")
    let sentences = Set(MessageError.Problem.allCases.map { "\($0)" })
    #expect(sentences.count == MessageError.Problem.allCases.count)
  }
}

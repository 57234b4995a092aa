@testable import Messages
import SwiftProtobuf
import SwiftProtobufMessages
import Testing

/// What fields hold, one by one.
@Suite struct ValueTests {
  private static let scalars = Scalars(
    ofDouble: 1.5, ofFloat: -2.5, ofInt64: -3, ofUint64: 4, ofInt32: -5, ofFixed64: 6, ofFixed32: 7,
    ofBool: true, ofString: "nine…", ofBytes: [10, 0, 255], ofUint32: 11, ofSign: .negative,
    ofSfixed32: -13, ofSfixed64: -14, ofSint32: -15, ofSint64: -16,
    ofTimestamp: Timestamp(microseconds: 17_000_001))

  @Test("Every scalar arrives in the field it was put into")
  func scalars() throws {
    let theirs = try Needletail_Samples_V1_Scalars(serializedBytes: Self.scalars.encoded)
    #expect(theirs.ofDouble == 1.5)
    #expect(theirs.ofFloat == -2.5)
    #expect(theirs.ofInt64 == -3)
    #expect(theirs.ofUint64 == 4)
    #expect(theirs.ofInt32 == -5)
    #expect(theirs.ofFixed64 == 6)
    #expect(theirs.ofFixed32 == 7)
    #expect(theirs.ofBool)
    #expect(theirs.ofString == "nine…")
    #expect(Array(theirs.ofBytes) == [10, 0, 255])
    #expect(theirs.ofUint32 == 11)
    #expect(theirs.ofSign == .negative)
    #expect(theirs.ofSfixed32 == -13)
    #expect(theirs.ofSfixed64 == -14)
    #expect(theirs.ofSint32 == -15)
    #expect(theirs.ofSint64 == -16)
    #expect(theirs.ofTimestamp.seconds == 17)
    #expect(theirs.ofTimestamp.nanos == 1_000)
    #expect(try Scalars.decode(theirs.serializedBytes()) == Self.scalars)
  }

  @Test("A message of defaults takes no bytes")
  func defaults() throws {
    #expect(Scalars().encoded.isEmpty)
    #expect(try Scalars.decode([]) == Scalars())
    #expect(try Optionals.decode([]).ofInt64 == nil)
    #expect(try Maps.decode([]).texts.isEmpty)
    #expect(try Choice.decode([]).chosen == nil)
  }

  @Test("An optional field tells its default from its absence")
  func presence() throws {
    let zeros = Optionals(
      ofDouble: 0, ofFloat: 0, ofInt64: 0, ofUint64: 0, ofInt32: 0, ofFixed64: 0, ofFixed32: 0,
      ofBool: false, ofString: "", ofBytes: [], ofUint32: 0, ofSign: .unspecified, ofSfixed32: 0,
      ofSfixed64: 0, ofSint32: 0, ofSint64: 0, ofMessage: Scalars())
    #expect(try Optionals.decode(zeros.encoded) == zeros)
    let theirs = try Needletail_Samples_V1_Optionals(serializedBytes: zeros.encoded)
    #expect(theirs.hasOfDouble && theirs.hasOfString && theirs.hasOfBytes && theirs.hasOfSign)
    #expect(theirs.hasOfBool && theirs.hasOfMessage)
    #expect(try Optionals.decode(Optionals().encoded) == Optionals())
  }

  @Test(
    "A oneof holds the member that was chosen, at its default too",
    arguments: [
      nil, .ofString(""), .ofString("a"), .ofBytes([]), .ofDouble(0), .ofDouble(-0.0),
      .ofBool(false), .ofBool(true), .ofSign(.default), .ofMessage(Choice.Empty()),
      .ofTimestamp(Timestamp(microseconds: 0)), .ofTimestamp(Timestamp(microseconds: -1)),
    ] as [Choice.Chosen?])
  func oneof(chosen: Choice.Chosen?) throws {
    var choice = Choice()
    choice.chosen = chosen
    choice.default = "word"
    choice.secondChoice = .right(0)
    #expect(try Choice.decode(choice.encoded) == choice)
  }

  @Test("A map holds its entries, at their defaults too")
  func maps() throws {
    var maps = Maps()
    maps.texts = ["": "", "a": "b", "é": "ß"]
    maps.numbers = ["least": .min, "none": 0]
    let choice = Choice(chosen: nil, default: "x", secondChoice: nil)
    maps.messages = ["nothing": Choice(), "text": choice]
    maps.signs = ["unknown": .unrecognized(99)]
    #expect(try Maps.decode(maps.encoded) == maps)
    let withoutValue = Wire.make { $0.message(3) { $0.text(1, "key") } }
    #expect(try Maps.decode(withoutValue).messages == ["key": Choice()])
  }

  @Test("A number that an enum does not know is kept")
  func unknownEnumNumber() throws {
    let bytes = Wire.make { $0.varint(12, 1_234) }
    let scalars = try Scalars.decode(bytes)
    #expect(scalars.ofSign == .unrecognized(1_234))
    #expect(scalars.ofSign.name == "1234")
    #expect(scalars.encoded == bytes)
  }

  @Test("Known numbers, names and cases of an enum belong together", arguments: Sign.known)
  func enums(sign: Sign) {
    #expect(Sign(number: sign.number) == sign)
    #expect(sign.name.hasPrefix("SIGN_"))
  }

  @Test("Fields that nobody knows are ignored")
  func unknownFields() throws {
    let bytes = Wire.make { wire in
      wire.varint(2_000, 1)
      wire.fixed64(2_001, 2)
      wire.text(9, "known")
      wire.fixed32(2_002, 3)
      wire.contents(2_003, [0xFF, 0x00])
    }
    var expected = Scalars()
    expected.ofString = "known"
    #expect(try Scalars.decode(bytes) == expected)
    #expect(try Scalars.decode(bytes).encoded == expected.encoded)
  }

  @Test("Negative zero stays negative, infinities and NaN stay what they are")
  func floatingPoint() throws {
    var scalars = Scalars()
    scalars.ofDouble = -0.0
    scalars.ofFloat = -0.0
    let negative = try Scalars.decode(scalars.encoded)
    #expect(negative.ofDouble.sign == .minus)
    #expect(negative.ofFloat.sign == .minus)
    let theirs = try Needletail_Samples_V1_Scalars(serializedBytes: scalars.encoded)
    #expect(theirs.ofDouble.sign == .minus)
    let lists = Lists.with {
      $0.ofDouble = [.nan, .infinity, -.infinity, -0.0, 0, .leastNonzeroMagnitude]
    }
    let bits = try Lists.decode(lists.encoded).ofDouble.map(\.bitPattern)
    #expect(bits == lists.ofDouble.map(\.bitPattern))
  }

  @Test("Text with U+0000 is sent whole and refused by whoever reads it")
  func encodedNUL() {
    var scalars = Scalars()
    scalars.ofString = "a\0b"
    #expect(throws: MessageError(path: "of_string", problem: .containsNUL)) {
      try Scalars.decode(scalars.encoded)
    }
  }

  @Test(
    "Times keep their microseconds",
    arguments: [
      0, 1, -1, 999_999, -999_999, 1_000_000, -1_000_001, 1_700_000_000_123_456,
      Timestamp.microsecondsRange.lowerBound, Timestamp.microsecondsRange.upperBound,
    ])
  func timestamps(microseconds: Int64) throws {
    var scalars = Scalars()
    scalars.ofTimestamp = Timestamp(microseconds: microseconds)
    #expect(try Scalars.decode(scalars.encoded) == scalars)
    let theirs = try Needletail_Samples_V1_Scalars(serializedBytes: scalars.encoded).ofTimestamp
    #expect(theirs.seconds * 1_000_000 + Int64(theirs.nanos / 1_000) == microseconds)
    #expect((0..<1_000_000_000).contains(theirs.nanos))
  }

  @Test("Encoding and decoding within the lent bytes leaves them as they were")
  func nested() throws {
    let outer = Self.scalars.encoded
    try Self.scalars.withEncoded { bytes throws(any Error) in
      let large = Lists.with { $0.ofDouble = Array(repeating: 1.25, count: 200_000) }
      #expect(try Lists.decode(large.encoded) == large)
      #expect(unsafe bytes.withUnsafeBytes { unsafe Array($0) } == outer)
    }
  }
}

extension Lists {
  static func with(_ change: (inout Lists) -> Void) -> Lists {
    var lists = Lists()
    change(&lists)
    return lists
  }
}

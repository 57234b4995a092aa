import Client
import Testing

@Suite struct JSONTests {
  @Test(
    "A document comes back as it was",
    arguments: [
      "null", "true", "false", "0", "-0.5e+10", #""a\"\\\n\t""#, "[]", "{}",
      #"{"b":[1,{"a":null}],"a":"ü🐟"}"#, "18446744073709551615",
    ])
  func roundTrip(text: String) throws {
    let value = try JSONValue.parse(Array(text.utf8))
    #expect(value.compact == text)
    #expect(try JSONValue.parse(Array(value.pretty.utf8)) == value)
  }

  @Test("Escapes mean their characters")
  func escapes() throws {
    let value = try JSONValue.parse(Array(#""\u00e9\ud83d\udc1f\/\b\f\r""#.utf8))
    #expect(value == .string("é🐟/\u{8}\u{C}\r"))
    #expect(JSONValue.string("\u{1B}\u{9B}").compact == #""\u001b\u009b""#)
  }

  @Test(
    "What is no JSON is refused with its place",
    arguments: [
      ("", 1, 1), ("nul", 1, 4), ("[1,]", 1, 4), ("{\"a\":1,\n\"a\":2}", 2, 4), ("01", 1, 2),
      ("1.", 1, 3), ("-", 1, 2), (#""\ud800""#, 1, 8), (#""\u0000""#, 1, 8), ("\"\u{1}\"", 1, 2),
      ("[1 2]", 1, 4), ("{a:1}", 1, 2), ("\"a", 1, 3), ("1 1", 1, 3), (#""\x""#, 1, 4),
    ] as [(String, Int, Int)])
  func errors(text: String, line: Int, column: Int) {
    let error = #expect(throws: JSONError.self) { try JSONValue.parse(Array(text.utf8)) }
    #expect(error?.line == line)
    #expect(error?.column == column)
  }

  @Test("Bad UTF-8 and deep nesting are refused")
  func bounds() {
    #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0xFF, 0x22]) }
    let deep = [UInt8](repeating: 0x5B, count: 100_000)
    #expect(throws: JSONError.self) { try JSONValue.parse(deep) }
  }
}

import Testing
import TestSupport

@testable import RPC

/// What is taken for a JSON object, and how JSON is written.
struct JSONTextTests {
  /// Objects that are taken.
  static let good = [
    "{}", " \t\r\n{ } \n", #"{"a":1}"#, #"{"a":null,"b":true,"c":false}"#, #"{"":""}"#,
    #"{"a":1,"a":2}"#, #"{ "a" : [ ] , "b" : [ 1 , 2 ] }"#, #"{"a":{"b":{"c":[{}]}}}"#,
    #"{"n":[0,-0,1,-1,10,0.5,-0.5,1e5,1E5,1e+5,1e-5,1.5e10,123456789012345678901234567890]}"#,
    #"{"a":"\"\\\/\b\f\n\r\t"}"#, #"{"a":"\u0001\u00e9\uABCD\uffff"}"#,
    #"{"a":"\ud83d\ude00"}"#, #"{"a":"\uD83D\uDE00\ud83d\ude00"}"#, #"{"é":"日本 😀"}"#,
    "{\"a\":\"\u{7F}\u{2028}\u{10FFFF}\"}", #"{"a":1e131071}"#, #"{"a":1e-16383}"#,
    #"{"a":0.0000001e-16376}"#, #"{"a":-1.5E+131071}"#,
    nested(JSONText.nestingMax), nested(JSONText.nestingMax, "[", "]"),
  ]

  /// What is refused.
  static let bad = [
    "", " ", "null", "1", "[]", #""a""#, "{", "}", "{}}", "{} {}", "{},", "{,}", #"{"a"}"#,
    #"{"a":}"#, #"{"a":1,}"#, #"{a:1}"#, "{'a':1}", #"{"a" 1}"#, #"{"a":1 "b":2}"#, #"{1:1}"#,
    #"{"a":[1,]}"#, #"{"a":[,1]}"#, #"{"a":[1 2]}"#, #"{"a":[1}"#, #"{"a":{]}"#,
    #"{"a":nul}"#, #"{"a":nulll}"#, #"{"a":True}"#, #"{"a":tru"#, #"{"a":NaN}"#,
    #"{"a":Infinity}"#, #"{"a":-Infinity}"#, #"{"a":01}"#, #"{"a":-01}"#, #"{"a":+1}"#,
    #"{"a":.5}"#, #"{"a":1.}"#, #"{"a":1.e5}"#, #"{"a":1e}"#, #"{"a":1e+}"#, #"{"a":-}"#,
    #"{"a":0x10}"#, #"{"a":1_000}"#, #"{"a":"x}"#, #"{"a":"\x"}"#, #"{"a":"\"}"#,
    #"{"a":"\u12"}"#, #"{"a":"\u12g4"}"#, #"{"a":"\u+123"}"#, #"{"a":"\U0041"}"#,
    #"{"a":"\u0000"}"#, #"{"\u0000":1}"#, #"{"a":"\ud83d"}"#, #"{"a":"\ud83dx"}"#,
    #"{"a":"\ud83d\n"}"#, #"{"a":"\ud83d\u0041"}"#, #"{"a":"\ud83d\ud83d"}"#,
    #"{"a":"\ude00"}"#, "{\"a\":\"\n\"}", "{\"a\":\"\u{0}\"}", "{\"a\":\"\t\"}",
    "{\u{A0}}", "{\u{0B}}", "\u{FEFF}{}", "{}\u{0}", "// x\n{}", #"{"a":1/*x*/}"#,
    #"{"a":1e131072}"#, #"{"a":10e131071}"#, #"{"a":1e-16384}"#, #"{"a":0.1e-16383}"#,
    #"{"a":1e99999999999999999999}"#, #"{"a":1e-99999999999999999999}"#,
  ]

  private static func nested(
    _ depth: Int, _ open: String = #"{"a":"#, _ close: String = "}"
  ) -> String {
    // The outermost object counts.
    #"{"a":"# + String(repeating: open, count: depth - 1) + (open == "[" ? "" : "1")
      + String(repeating: close, count: depth - 1) + "}"
  }

  @Test("An object by the grammar of RFC 8259 is taken", arguments: good)
  func taken(text: String) {
    #expect(JSONText.problem(in: text) == nil)
  }

  @Test("Anything else is refused", arguments: bad)
  func refused(text: String) {
    #expect(JSONText.problem(in: text) != nil)
  }

  @Test("Objects and arrays nest up to the bound and no deeper")
  func depth() {
    for (open, close) in [(#"{"a":"#, "}"), ("[", "]")] {
      #expect(JSONText.problem(in: Self.nested(JSONText.nestingMax, open, close)) == nil)
      #expect(JSONText.problem(in: Self.nested(JSONText.nestingMax + 1, open, close)) != nil)
      #expect(JSONText.problem(in: Self.nested(100_000, open, close)) != nil)
    }
  }

  @Test(
    "The refusal says what is wrong, and where",
    arguments: [
      ("[1]", "it does not begin with {"), ("{} x", "something follows it at byte 3"),
      (#"{"a":x}"#, "byte 5 is not what the grammar expects"),
    ])
  func place(text: String, problem: String) {
    #expect(JSONText.problem(in: text) == problem)
  }

  @Test("PostgreSQL stores exactly what is taken as jsonb")
  func database() throws {
    let texts = Self.good + Self.bad
    let stored = try Self.stored(texts)
    #expect(stored.count == texts.count)
    for (text, isStored) in zip(texts, stored) {
      #expect((JSONText.problem(in: text) == nil) == isStored, "\(text)")
    }
  }

  @Test("PostgreSQL stores exactly what is taken of texts with small damage", arguments: [1, 2, 3])
  func damaged(seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    let texts = (0..<2_000).map { _ in Self.mutant(&random) }
    let stored = try Self.stored(texts)
    #expect(stored.count == texts.count)
    for (text, isStored) in zip(texts, stored) {
      #expect((JSONText.problem(in: text) == nil) == isStored, "\(text)")
    }
    #expect(stored.contains(true) && stored.contains(false))
  }

  /// A good text with some characters changed, left out or doubled.
  private static func mutant(_ random: inout SplitMix) -> String {
    let alphabet = Array(#"{}[]:,"\/0123456789.eE+-tfnulradD \#n"#.unicodeScalars)
    var scalars = Array(good[Int.random(in: 0..<good.count, using: &random)].unicodeScalars)
    for _ in 0..<Int.random(in: 1...2, using: &random) where !scalars.isEmpty {
      let place = Int.random(in: 0..<scalars.count, using: &random)
      let other = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      switch Int.random(in: 0..<4, using: &random) {
      case 0: scalars[place] = other
      case 1: scalars.insert(other, at: place)
      case 2: scalars.insert(scalars[place], at: place)
      default: scalars.remove(at: place)
      }
    }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars)
    return String(text)
  }

  /// Whether PostgreSQL stores each text as a jsonb object.
  private static func stored(_ texts: [String]) throws -> [Bool] {
    let cluster = try TestCluster.shared()
    // Hexadecimal digits carry every text through psql unharmed.
    let questions = texts.map { text in
      let digits = text.utf8.map { byte in
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
      return "select is_stored('\(digits.joined())');"
    }
    let answer = try cluster.sql(
      """
      create function is_stored(digits text) returns boolean language plpgsql as $$
      begin
        return jsonb_typeof(convert_from(decode(digits, 'hex'), 'UTF8')::jsonb) = 'object';
      exception when others then return false;
      end $$;
      \(questions.joined(separator: "\n"))
      """, in: cluster.createDatabase())
    return answer.split(separator: "\n").map { $0 == "t" }
  }

  @Test(
    "Text is written as a JSON string that is taken and stays what it was",
    arguments: [
      ("", #""""#), ("plain", #""plain""#), (#"a"b\c/d"#, #""a\"b\\c/d""#),
      ("\n\r\t", #""\n\r\t""#), ("\u{0}\u{1}\u{1F}", #""\u0000\u0001\u001f""#),
      ("\u{7F}é日😀", "\"\u{7F}é日😀\""), ("e\u{301}", "\"e\u{301}\""),
    ])
  func quoted(text: String, expected: String) {
    let quoted = JSONText.quoted(text)
    #expect(quoted.unicodeScalars.elementsEqual(expected.unicodeScalars))
    if !text.contains("\u{0}") { #expect(JSONText.problem(in: "{\"a\":\(quoted)}") == nil) }
  }

  @Test("An object keeps the order of its fields and escapes names and values")
  func object() {
    #expect(JSONText.object([]) == "{}")
    #expect(JSONText.object([("b", "1"), ("a\"", "\\")]) == #"{"b":"1","a\"":"\\"}"#)
  }
}

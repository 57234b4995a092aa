import Postgres
import RPC
import Testing
import Wire

/// The rules for fields, and what the caller hears.
struct ValidatorTests {
  private static func found(_ check: (inout Validator) -> Void) -> [FieldViolation] {
    var validator = Validator()
    check(&validator)
    do {
      try validator.finish()
      return []
    } catch {
      return error.status.fieldViolations
    }
  }

  @Test("Nothing refused is no error")
  func nothing() {
    #expect(Self.found { _ in }.isEmpty)
  }

  @Test("Everything refused is told at once, in its order, by one error")
  func all() {
    var validator = Validator()
    validator.refuse("b", "must be so")
    validator.refuse("a", "must be otherwise")
    let error = #expect(throws: CallError.self) { try validator.finish() }
    #expect(error?.status.code == .invalidArgument)
    #expect(error?.status.reason == "FIELD_INVALID")
    #expect(error?.status.message == "These fields need another value: b, a.")
    #expect(
      error?.status.fieldViolations == [
        FieldViolation(field: "b", description: "must be so"),
        FieldViolation(field: "a", description: "must be otherwise"),
      ])
    #expect(error?.cause == nil)
  }

  @Test("An identifier is read in either case; a bad one is noted and reads as zero")
  func id() {
    let text = "0190C6F2-3A5E-7C1D-9F10-2B6C1D3E4F50"
    let good = Self.found { #expect($0.id("run_id", text).description == text.lowercased()) }
    #expect(good.isEmpty)
    for bad in ["", "x", "0190c6f23a5e7c1d9f102b6c1d3e4f50", text + "0"] {
      let found = Self.found { #expect($0.id("run_id", bad) == .zero) }
      #expect(
        found == [
          FieldViolation(
            field: "run_id",
            description: "must be a UUID like 0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50")
        ])
    }
  }

  @Test("A name's characters are Unicode scalars, however many bytes those have")
  func characters() {
    for good in ["a", String(repeating: "é", count: 250), String(repeating: "🚀", count: 250)] {
      #expect(Self.found { $0.name("name", good, characters: 1...250) }.isEmpty)
    }
    let combined = String(repeating: "e\u{301}", count: 126)
    for (bad, count) in [("", 0), (combined, 252), (String(repeating: "a", count: 251), 251)] {
      #expect(
        Self.found { $0.name("name", bad, characters: 1...250) } == [
          FieldViolation(field: "name", description: "must be 1 to 250 characters, is \(count)")
        ])
    }
  }

  @Test("An optional identifier may be empty, and nothing else that is none")
  func optionalID() {
    var id: UUID? = .zero
    #expect(Self.found { id = $0.optionalID("id", "") }.isEmpty)
    #expect(id == nil)
    #expect(Self.found { _ = $0.optionalID("id", " ") }.map(\.field) == ["id"])
  }

  @Test(
    "A name has its bytes, no control characters and no space at its ends",
    arguments: [
      ("a", []), ("abcde", []), ("a b", []), ("éé", []), ("", ["must be 1 to 5 bytes, is 0"]),
      ("abcdef", ["must be 1 to 5 bytes, is 6"]), ("ééé", ["must be 1 to 5 bytes, is 6"]),
      ("a\n", ["must not contain control characters"]),
      ("\u{0}", ["must not contain control characters"]),
      ("\u{7F}", ["must not contain control characters"]),
      ("\u{9F}", ["must not contain control characters"]), ("\u{A0}", []),
      (" a", ["must not begin or end with a space"]),
      ("a ", ["must not begin or end with a space"]),
      (" ", ["must not begin or end with a space"]),
      (
        "abcd\t ",
        [
          "must be 1 to 5 bytes, is 6", "must not contain control characters",
          "must not begin or end with a space",
        ]
      ),
    ] as [(String, [String])])
  func name(text: String, expected: [String]) {
    let found = Self.found { $0.name("name", text, bytes: 1...5) }
    #expect(found.map(\.description) == expected)
    #expect(found.allSatisfy { $0.field == "name" })
  }

  @Test("A text is bounded in bytes and may hold anything")
  func text() {
    #expect(Self.found { $0.text("d", "a\né\u{0}", bytesMax: 5) }.isEmpty)
    #expect(
      Self.found { $0.text("d", "ééé", bytesMax: 5) }.map(\.description)
        == ["must be at most 5 bytes, is 6"])
  }

  @Test("A JSON object is kept as it is written; an empty text stands for {}")
  func json() {
    var texts: [String] = []
    let good = Self.found { validator in
      texts = ["", #"{"b":1 }"#].map {
        validator.jsonObject("config_json", $0, bytesMax: 10)
      }
    }
    #expect(good.isEmpty)
    #expect(texts == ["{}", #"{"b":1 }"#])
    let found = Self.found {
      _ = $0.jsonObject("config_json", "[]", bytesMax: 10)
      _ = $0.jsonObject("config_json", #"{"abcdefgh":1}"#, bytesMax: 10)
    }
    #expect(
      found.map(\.description) == [
        "must be a JSON object: it does not begin with {", "must be at most 10 bytes, is 14",
      ])
  }

  @Test(
    "A page has the size that was asked, the standard one for 0, and never more than the greatest",
    arguments: [
      (0, 20, true), (1, 1, true), (100, 100, true), (101, 100, false), (.max, 100, false),
    ]
      as [(UInt32, Int, Bool)])
  func pageSize(asked: UInt32, given: Int, isGood: Bool) {
    let found = Self.found {
      #expect($0.pageSize(asked, standard: 20, max: 100) == given)
    }
    #expect(found.map(\.description) == (isGood ? [] : ["must be 1 to 100, or 0 for 20"]))
    #expect(found.allSatisfy { $0.field == "page_size" })
  }
}

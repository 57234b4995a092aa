import RPC
import Testing

/// A resource as the parser sees one.
private let schema = SearchSchema(
  table: "things as thing", alias: "thing", columns: "thing.id", columnCount: 1,
  entities: ["attributes", "attr"],
  attributes: [
    SearchAttribute(["name", "the name"], "name", .text),
    SearchAttribute(["start_time"], "started_at", .time, isNullable: true),
    SearchAttribute(["size"], "size", .integer),
    SearchAttribute(
      ["status"], "status", .word(aliases: ["FINISHED": "DONE"], all: ["DONE", "OPEN"])),
    SearchAttribute(["id"], "id", .uuid),
    SearchAttribute(
      ["grade"], "grade", .word(aliases: [:], all: ["GOOD", "BAD"]), isNullable: true,
      rank: "grade_rank"),
    SearchAttribute(["grade_rank"], "grade_rank", .integer),
  ],
  pairs: [
    SearchPairs(numbers: ["metrics", "metric"], "numbers", owner: "thing_id", value: "number"),
    SearchPairs(texts: ["tags", "tag"], "tags", owner: "thing_id"),
    SearchPairs(several: ["parts", "part"], "parts", owner: "thing_id", keys: ["maker"]),
  ])

private func metric(_ key: String) -> SearchTarget { .pair(0, key: Array(key.utf8)) }
private func tag(_ key: String) -> SearchTarget { .pair(1, key: Array(key.utf8)) }
private func clause(_ target: SearchTarget, _ test: SearchTest) -> SearchCondition {
  .clause(SearchClause(target, test))
}

private let loss = clause(metric("loss"), .number(.less, 0.5))
private let mine = clause(tag("t"), .text(.equal, "x"))
private let named = clause(.attribute(0), .text(.equal, "n"))

@Suite
struct SearchParserTests {
  @Test(
    "Every production is read",
    arguments: [
      ("metrics.loss < 0.5", loss),
      ("metric.loss<0.5", loss),
      ("metrics.`loss` < .5", loss),
      ("metrics.\"loss\" < +5e-1", loss),
      ("metrics.`a ``b` >= -1", clause(metric("a `b"), .number(.greaterOrEqual, -1))),
      ("metrics.val/acc-1:x@2 <= 1E2", clause(metric("val/acc-1:x@2"), .number(.lessOrEqual, 100))),
      ("metrics.a.b > 1.", clause(metric("a.b"), .number(.greater, 1))),
      ("metrics.é != 1", clause(metric("é"), .number(.unequal, 1))),
      ("metrics.and = 1", clause(metric("and"), .number(.equal, 1))),
      ("size = 3", clause(.attribute(2), .number(.equal, 3))),
      ("start_time > 1700000000123", clause(.attribute(1), .time(.greater, 1_700_000_000_123))),
      ("attr.start_time = -5", clause(.attribute(1), .time(.equal, -5))),
      ("tags.t = 'x'", mine),
      ("tag.t = \"x\"", mine),
      ("tags.t != 'it''s'", clause(tag("t"), .text(.unequal, "it's"))),
      ("tags.t LIKE 'a%_'", clause(tag("t"), .like("a%_", ignoringCase: false, isNegated: false))),
      (
        "tags.t ilike 'A\\\\'",
        clause(tag("t"), .like("A\\\\", ignoringCase: true, isNegated: false))
      ),
      ("tags.t Not Like ''", clause(tag("t"), .like("", ignoringCase: false, isNegated: true))),
      ("tags.t RLIKE '^a+$'", clause(tag("t"), .matches("^a+$", isNegated: false))),
      ("tags.t NOT rlike 'a'", clause(tag("t"), .matches("a", isNegated: true))),
      ("tags.t IN ('a')", clause(tag("t"), .among(["a"], isNegated: false))),
      ("id not in ('a', \"b\")", clause(.attribute(4), .among(["a", "b"], isNegated: true))),
      ("tags.t IS NULL", clause(tag("t"), .isMissing)),
      ("metrics.t is not null", clause(metric("t"), .isPresent)),
      ("start_time IS NULL", clause(.attribute(1), .isMissing)),
      ("name = 'n'", named),
      ("`the name` = 'n'", named),
      ("attributes.\"the name\" = 'n'", named),
      ("status = 'finished'", clause(.attribute(3), .text(.equal, "done"))),
      ("grade = 'good'", clause(.attribute(5), .text(.equal, "good"))),
      ("status IN ('Open')", clause(.attribute(3), .among(["open"], isNegated: false))),
      ("tags.t = 'x' AND name = 'n'", .all([mine, named])),
      ("tags.t = 'x' or name = 'n'", .any([mine, named])),
      (
        "tags.t = 'x' OR name = 'n' AND metrics.loss < 0.5", .any([mine, .all([named, loss])])
      ),
      (
        "(tags.t = 'x' OR name = 'n') AND metrics.loss < 0.5", .all([.any([mine, named]), loss])
      ),
      ("NOT tags.t = 'x' AND name = 'n'", .all([.not(mine), named])),
      ("not (tags.t = 'x' AND name = 'n')", .not(.all([mine, named]))),
      ("NOT NOT ((tags.t = 'x'))", .not(.not(mine))),
      ("\t tags.t\n=\r'x' ", mine),
    ])
  func productions(text: String, expected: SearchCondition) throws {
    #expect(try SearchParser.filter(text, schema) == expected)
  }

  @Test("A blank filter demands nothing", arguments: ["", " ", "\n\t"])
  func blank(text: String) throws {
    #expect(try SearchParser.filter(text, schema) == nil)
  }

  @Test(
    "A mistake is told with its place and with what was expected there",
    arguments: [
      ("metrics.loss <", 14, "a number, without quotes"),
      ("metrics.loss < 'a'", 15, "a number, without quotes"),
      ("metrics.loss < 1e999", 15, "a number, without quotes"),
      ("metrics.loss LIKE 'a'", 13, "=, !=, <, <=, >, >= or IS: the field is a number"),
      ("metrics.loss", 12, "=, !=, <, <=, >, >= or IS: the field is a number"),
      ("start_time < 1.5", 13, "a whole number: milliseconds since 1970"),
      ("start_time < 99999999999999999999", 13, "a whole number: milliseconds since 1970"),
      ("tags.t < 'a'", 7, "=, !=, LIKE, ILIKE, RLIKE, IN, NOT or IS: the field is a text"),
      ("tags.t = 5", 9, "a text in quotes"),
      ("tags.t = x", 9, "a text in quotes"),
      ("tags.t NOT = 'x'", 11, "LIKE, ILIKE, RLIKE or IN"),
      ("tags.t LIKE 5", 12, "a pattern in quotes"),
      ("tags.t LIKE 'a\\'", 12, "a pattern that does not end with a lone \\"),
      ("tags.t LIKE 'a\\\\\\'", 12, "a pattern that does not end with a lone \\"),
      ("tags.t RLIKE 5", 13, "a regular expression in quotes"),
      (
        "tags.t RLIKE '" + String(repeating: "a", count: 1_025) + "'", 13,
        "a regular expression of at most 1024 bytes"
      ),
      ("tags.t IN 'a'", 10, "( and a list of texts"),
      ("tags.t IN ()", 11, "a text in quotes"),
      ("tags.t IN ('a' 'b')", 15, ", or )"),
      ("tags.t IN ('a',)", 15, "a text in quotes"),
      ("tags.t IS 5", 10, "NULL or NOT NULL"),
      ("tags.t IS NOT 5", 14, "NULL"),
      ("tags. = 'x'", 5, "a key right behind tags."),
      ("tags. `t` = 'x'", 5, "a key right behind tags."),
      ("status = 'gone'", 9, "one of DONE, OPEN"),
      ("name = 'n' name = 'n'", 11, "AND, OR or the end"),
      ("name = 'n')", 10, "AND, OR or the end"),
      ("(name = 'n'", 11, "AND, OR or )"),
      ("(name = 'n' name", 12, "AND, OR or )"),
      ("name = 'é", 10, "the quote that ends the text which begins at byte 7"),
      ("name = 'a\0b'", 9, "text without NUL characters"),
      ("name = ; drop", 7, "a field, a value, an operator or a parenthesis"),
      ("name = 'n' AND é; x", 17, "a field, a value, an operator or a parenthesis"),
    ])
  func mistakes(text: String, byte: Int, expected: String) {
    let error = failure(text)
    #expect(error?.byte == byte)
    #expect(error?.expected == expected)
  }

  @Test(
    "An unknown field is told with those there are",
    arguments: [
      ("gone = 1", 0), ("params.x = 'a'", 0), ("attributes.gone = 1", 0), ("AND", 0),
      ("name = 'n' AND", 14), ("()", 1), ("NOT", 3), ("5 = name", 0), ("Tags.t = 'x'", 0),
    ])
  func unknown(text: String, byte: Int) {
    let error = failure(text)
    #expect(error?.byte == byte)
    #expect(
      error?.expected
        == "one of attributes.name, attributes.start_time, attributes.size, attributes.status, "
        + "attributes.id, attributes.grade, "
        + "attributes.grade_rank, metrics.<key>, tags.<key>, parts.maker")
  }

  @Test("A field of several values has known keys, and is no order")
  func several() throws {
    let maker = SearchTarget.pair(2, key: Array("maker".utf8))
    #expect(
      try SearchParser.filter("part.maker = 'm'", schema) == clause(maker, .text(.equal, "m")))
    #expect(failure("parts.other = 'm'")?.byte == 0)
    #expect(throws: SearchError.self) { try SearchParser.order("parts.maker DESC", schema) }
  }

  @Test("A place is counted in bytes and in characters, and what is found is shown in short")
  func places() {
    let error = failure("tags.`ééé` = 'x' AND \(String(repeating: "ü", count: 60)) = 1")
    #expect(error?.byte == 24)
    #expect(error?.character == 22)
    #expect(error?.found == "\"\(String(repeating: "ü", count: 40))…\"")
    #expect(error?.description.hasPrefix("at character 22 (byte 24): expected one of") == true)
    #expect(failure("tags.t = ")?.found == "the end")
  }

  @Test("Each bound is reached and not passed")
  func bounds() throws {
    let clauses = Array(repeating: "name='n'", count: SearchBounds.clausesMax)
    #expect(try SearchParser.filter(clauses.joined(separator: " AND "), schema) != nil)
    #expect(
      failure((clauses + ["name='n'"]).joined(separator: " OR "))?.expected
        == "at most 100 comparisons")

    func nested(_ depth: Int) -> String {
      String(repeating: "(", count: depth) + "name = 'n'" + String(repeating: ")", count: depth)
    }
    #expect(try SearchParser.filter(nested(SearchBounds.depthMax), schema) == named)
    #expect(failure(nested(SearchBounds.depthMax + 1))?.byte == SearchBounds.depthMax)
    #expect(failure(String(repeating: "NOT ", count: 4_000) + "name = 'n'")?.byte == 128)

    let padding = String(repeating: "x", count: SearchBounds.filterBytesMax - 9)
    #expect(try SearchParser.filter("name = '\(padding)'", schema) != nil)
    #expect(
      failure("name = '\(padding)x'")?.expected
        == "the end of the filter, which is at most 16384 bytes")
    #expect(failure(String(repeating: "(", count: 100 << 10))?.found == "86016 bytes more")
  }

  @Test(
    "An order is a field and a direction",
    arguments: [
      ("metrics.loss", SearchOrder(metric("loss"), isDescending: false)),
      ("metrics.loss ASC", SearchOrder(metric("loss"), isDescending: false)),
      ("tags.`a b` desc", SearchOrder(tag("a b"), isDescending: true)),
      ("attributes.start_time DESC", SearchOrder(.attribute(1), isDescending: true)),
      ("\"the name\"", SearchOrder(.attribute(0), isDescending: false)),
      // Words that have a rank are ordered by it, and compared as they are.
      ("grade DESC", SearchOrder(.attribute(6), isDescending: true)),
      ("grade_rank", SearchOrder(.attribute(6), isDescending: false)),
    ])
  func orders(text: String, expected: SearchOrder) throws {
    #expect(try SearchParser.order(text, schema) == expected)
  }

  @Test(
    "A mistake in an order is told with its place",
    arguments: [
      ("", 0), ("name up", 5), ("name DESC, size", 9), ("name DESC size", 10), ("1", 0),
      ("name; drop table things", 4),
    ])
  func badOrders(text: String, byte: Int) {
    do throws(SearchError) {
      _ = try SearchParser.order(text, schema)
      Issue.record("it was read")
    } catch {
      #expect(error.byte == byte)
    }
  }

  private func failure(_ text: String) -> SearchError? {
    do throws(SearchError) {
      _ = try SearchParser.filter(text, schema)
      return nil
    } catch {
      return error
    }
  }
}

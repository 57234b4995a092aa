import EventLoop
import Postgres
import TestSupport
import Testing

@Suite struct CodecTests {
  /// Sends one value, and returns what comes back and how the server reads it.
  private func echo<Value: Sendable>(
    _ type: String, _ append: @escaping @Sendable (inout Parameters) -> Void,
    _ read: @escaping @Sendable (borrowing Row) throws(PostgresError) -> Value
  ) async throws -> (Value, String?) {
    let connection = try TestCluster.shared().connection
    return try await withDatabase(connection) { database in
      var parameters = Parameters()
      append(&parameters)
      let sql = "select $1::\(type), $1::\(type)::text"
      return try await database.read(
        anyWork,
        .text(sql, parameters) { reply throws(PostgresError) in
          try reply.one { row throws(PostgresError) in (try read(row), try row.textOrNil(1)) }
        })
    }
  }

  @Test("Numbers keep every bit at their edges", arguments: [Int64.min, -1, 0, 1, Int64.max])
  func integers(value: Int64) async throws {
    let wide = try await echo("int8", { $0.append(int8: value) }) {
      row throws(PostgresError) in try row.int8(0)
    }
    #expect(wide == (value, "\(value)"))
    let narrow = Int32(clamping: value)
    let four = try await echo("int4", { $0.append(int4: narrow) }) {
      row throws(PostgresError) in try row.int4(0)
    }
    #expect(four == (narrow, "\(narrow)"))
    let short = Int16(clamping: value)
    let two = try await echo("int2", { $0.append(int2: short) }) {
      row throws(PostgresError) in try row.int2(0)
    }
    #expect(two == (short, "\(short)"))
    let unsigned = UInt64(bitPattern: value)
    let xid = try await echo("xid8", { $0.append(xid8: unsigned) }) {
      row throws(PostgresError) in try row.xid8(0)
    }
    #expect(xid == (unsigned, "\(unsigned)"))
  }

  @Test(
    "Doubles keep their bits, NaN and infinities among them",
    arguments: [
      (0.0, "0"), (-0.0, "-0"), (.nan, "NaN"), (.infinity, "Infinity"), (-.infinity, "-Infinity"),
      (Double.leastNonzeroMagnitude, "5e-324"),
      (Double.greatestFiniteMagnitude, "1.7976931348623157e+308"),
    ])
  func doubles(value: Double, text: String) async throws {
    let (back, seen) = try await echo("float8", { $0.append(float8: value) }) {
      row throws(PostgresError) in try row.float8(0)
    }
    #expect(back.bitPattern == value.bitPattern || (back.isNaN && value.isNaN))
    #expect(seen == text)
  }

  @Test(
    "Times are microseconds since 1970, with both infinities",
    arguments: [
      (0, "1970-01-01 00:00:00+00"), (-1, "1969-12-31 23:59:59.999999+00"),
      (1_700_000_000_123_456, "2023-11-14 22:13:20.123456+00"), (Int64.max, "infinity"),
      (Int64.min, "-infinity"),
    ])
  func times(value: Int64, text: String) async throws {
    let back = try await echo(
      "timestamptz", { $0.append(timestamp: value) }
    ) { row throws(PostgresError) in try row.timestamp(0) }
    #expect(back.0 == value)
    let connection = try TestCluster.shared().connection + " options='-c timezone=UTC'"
    let seen = try await withDatabase(connection) { database in
      var parameters = Parameters()
      parameters.append(timestamp: value)
      return try await database.read(
        anyWork,
        .text("select $1::timestamptz::text", parameters) { reply throws(PostgresError) in
          try reply.one { row throws(PostgresError) in try row.text(0) }
        })
    }
    #expect(seen == text)
  }

  @Test("Texts, bytes, JSON, truth and identifiers come back as they were")
  func others() async throws {
    for value in ["", "ä€😀'\"\\", String(repeating: "x", count: 100_000)] {
      let back = try await echo("text", { $0.append(text: value) }) {
        row throws(PostgresError) in try row.text(0)
      }
      #expect(back == (value, value))
    }
    let bytes = (0...255).map { UInt8($0) }
    for value in [[], bytes] {
      let back = try await echo("bytea", { $0.append(bytes: value) }) {
        row throws(PostgresError) in try row.bytes(0)
      }
      #expect(back.0 == value)
    }
    let json = try await echo("jsonb", { $0.append(json: #"{"a":[1,null]}"#) }) {
      row throws(PostgresError) in try row.json(0)
    }
    #expect(json == (#"{"a": [1, null]}"#, #"{"a": [1, null]}"#))
    for value in [true, false] {
      let back = try await echo("boolean", { $0.append(bool: value) }) {
        row throws(PostgresError) in try row.bool(0)
      }
      #expect(back == (value, "\(value)"))
    }
    let id = try #require(UUID("018f0abc-def0-7fff-bfff-0123456789ab"))
    let back = try await echo("uuid", { $0.append(uuid: id) }) {
      row throws(PostgresError) in try row.uuid(0)
    }
    #expect(back == (id, id.description))
  }

  @Test("Arrays come back as they were, empty ones too")
  func arrays() async throws {
    let id = try #require(UUID("018f0abc-def0-7fff-bfff-0123456789ab"))
    for ids in [[], [id], [id, .zero, id]] {
      let back = try await echo("uuid[]", { $0.append(uuids: ids) }) {
        row throws(PostgresError) in try row.uuids(0)
      }
      #expect(back.0 == ids)
    }
    for numbers in [[], [Int64.min, 0, .max], Array(0..<10_000)] {
      let wide = try await echo("int8[]", { $0.append(int8s: numbers) }) {
        row throws(PostgresError) in try row.int8s(0)
      }
      #expect(wide.0 == numbers)
      let times = try await echo("timestamptz[]", { $0.append(timestamps: numbers) }) {
        row throws(PostgresError) in try row.timestamps(0)
      }
      #expect(times.0 == numbers)
      let doubles = numbers.map(Double.init)
      let ratios = try await echo("float8[]", { $0.append(float8s: doubles) }) {
        row throws(PostgresError) in try row.float8s(0)
      }
      #expect(ratios.0 == doubles)
      let narrow = numbers.map { Int32(clamping: $0) }
      let four = try await echo("int4[]", { $0.append(int4s: narrow) }) {
        row throws(PostgresError) in try row.int4s(0)
      }
      #expect(four.0 == narrow)
      let narrower = numbers.map { Int16(clamping: $0) }
      let two = try await echo("int2[]", { $0.append(int2s: narrower) }) {
        row throws(PostgresError) in try row.int2s(0)
      }
      #expect(two.0 == narrower)
    }
    for texts in [[], ["", "a,b", "{\"}", "ä"]] {
      let back = try await echo("text[]", { $0.append(texts: texts) }) {
        row throws(PostgresError) in try row.texts(0)
      }
      #expect(back.0 == texts)
      let strings = texts.map { Array($0.utf8) }
      let bytes = try await echo("bytea[]", { $0.append(byteStrings: strings) }) {
        row throws(PostgresError) in try row.byteStrings(0)
      }
      #expect(bytes.0 == strings)
    }
  }

  @Test("NULL is nil where it may be, and an error where it may not")
  func nulls() async throws {
    let back = try await echo("text", { $0.append(text: nil) }) {
      row throws(PostgresError) in try row.textOrNil(0)
    }
    #expect(back == (nil, nil))
    let connection = try TestCluster.shared().connection
    let errors = try await withDatabase(connection) { database in
      var errors: [PostgresError?] = []
      for column in 0..<5 {
        let query = Query<Void>.text(
          """
          select null::int8 as a, array[1, null]::int4[] as b, array['x', null] as c, 1::int4 as d,
          '{{1},{2}}'::int4[] as e
          """
        ) { reply throws(PostgresError) in
          try reply.one { row throws(PostgresError) in
            switch column {
            case 0, 3: _ = try row.int8(column)
            case 2: _ = try row.texts(column)
            default: _ = try row.int4s(column)
            }
          }
        }
        errors.append(
          await failure { () async throws(PostgresError) in
            try await database.read(anyWork, query)
          })
      }
      return errors
    }
    let problems = errors.map { error -> String in
      guard case .decoding(_, let column, let problem) = error else { return "\(error as Any)" }
      return "\(column) \(problem)"
    }
    #expect(
      problems == [
        "a is null", "b holds a null", "c holds a null", "d has 4 bytes in place of 8",
        "e has more than one dimension",
      ])
  }

  @Test("A statement that promises one row gives exactly one, or an error that says how many")
  func cardinality() async throws {
    let connection = try TestCluster.shared().connection
    let (one, many, none, all) = try await withDatabase(connection) { database in
      let two = "select * from (values (1::int8), (2)) as v (n)"
      let error = await failure { () async throws(PostgresError) in
        try await database.read(anyWork, number(two))
      }
      let optional = Query<Int64?>.text("select 1::int8 where false") {
        reply throws(PostgresError) in
        try reply.optional { row throws(PostgresError) in try row.int8(0) }
      }
      let list = Query<[Int64]>.text(two) { reply throws(PostgresError) in
        try reply.many { row throws(PostgresError) in try row.int8(0) }
      }
      let missing = await failure { () async throws(PostgresError) in
        try await database.read(anyWork, number("select 1::int8 where false"))
      }
      return (
        missing, error, try await database.read(anyWork, optional),
        try await database.read(anyWork, list)
      )
    }
    #expect(one == .cardinality(statement: "select 1::int8 where false", rows: 0))
    #expect(
      many == .cardinality(statement: "select * from (values (1::int8), (2)) as v (n)", rows: 2))
    #expect(none == nil)
    #expect(all == [1, 2])
  }
}

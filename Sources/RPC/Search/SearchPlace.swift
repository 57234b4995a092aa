public import Postgres

/// A value that a search is ordered by.
public enum SearchValue: Equatable, Sendable {
  case missing
  /// May be NaN.
  case number(Double)
  case integer(Int64)
  /// Microseconds since 1970.
  case time(Int64)
  case uuid(UUID)
  case text(String)

  /// Those with a value come first, then NaN, then those without.
  var rank: Int {
    switch self {
    case .missing: 2
    case .number(let number) where number.isNaN: 1
    default: 0
    }
  }

  /// Reads a column of a kind.
  static func read(
    _ row: borrowing Row, _ column: Int, _ kind: SearchKind
  ) throws(PostgresError) -> SearchValue {
    switch kind {
    case .number: try row.float8OrNil(column).map(SearchValue.number) ?? .missing
    case .integer: try row.int8OrNil(column).map(SearchValue.integer) ?? .missing
    case .time: try row.timestampOrNil(column).map(SearchValue.time) ?? .missing
    case .uuid: try row.uuidOrNil(column).map(SearchValue.uuid) ?? .missing
    case .text, .word, .textOrNumber: try row.textOrNil(column).map(SearchValue.text) ?? .missing
    }
  }

  /// Adds it as a parameter.
  func add(to sql: inout ComposedStatement) {
    switch self {
    case .missing: sql.add("null")
    case .number(let number): sql.add(float8: number)
    case .integer(let number): sql.add(int8: number)
    case .time(let microseconds): sql.add(timestamp: microseconds)
    case .uuid(let id): sql.add(uuid: id)
    case .text(let text): sql.add(text: text)
    }
  }
}

/// A row's place in an order: what a page token says.
public struct SearchPlace: Equatable, Sendable {
  /// What the order names.
  public let values: [SearchValue]
  /// Decides among equals.
  public let id: UUID

  /// Joins both.
  public init(_ values: [SearchValue], id: UUID) {
    self.values = values
    self.id = id
  }

  /// As bytes.
  var bytes: [UInt8] {
    var bytes = id.bytes
    func add(_ tag: UInt8, _ word: UInt64) {
      bytes.append(tag)
      for shift in stride(from: 56, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
      }
    }
    for value in values {
      switch value {
      case .missing: bytes.append(0)
      case .number(let number): add(1, number.bitPattern)
      case .integer(let number): add(2, UInt64(bitPattern: number))
      case .time(let microseconds): add(3, UInt64(bitPattern: microseconds))
      case .uuid(let id): bytes += [4] + id.bytes
      case .text(let text):
        add(5, UInt64(text.utf8.count))
        bytes += Array(text.utf8)
      }
    }
    return bytes
  }

  /// Reads a place in an order of `kinds`, where those that `isNullable` may be missing.
  init?(_ bytes: [UInt8], _ kinds: [(kind: SearchKind, isNullable: Bool)]) {
    var rest = bytes[...]
    func take(_ count: Int) -> [UInt8]? {
      guard count >= 0, rest.count >= count else { return nil }
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
    func word() -> UInt64? { take(8)?.reduce(0) { $0 << 8 | UInt64($1) } }
    func value(_ tag: UInt8, _ kind: SearchKind, _ isNullable: Bool) -> SearchValue? {
      switch (tag, kind) {
      case (0, _): isNullable ? .missing : nil
      case (1, .number): word().map { .number(Double(bitPattern: $0)) }
      case (2, .integer): word().map { .integer(Int64(bitPattern: $0)) }
      case (3, .time): word().map { .time(Int64(bitPattern: $0)) }
      case (4, .uuid): take(16).flatMap { UUID(bytes: $0) }.map { .uuid($0) }
      case (5, .text), (5, .word):
        word().flatMap { Int(exactly: $0) }.flatMap { take($0) }
          .flatMap { SearchPlace.text($0) }.map { .text($0) }
      default: nil
      }
    }
    guard let id = take(16).flatMap({ UUID(bytes: $0) }) else { return nil }
    var values: [SearchValue] = []
    for (kind, isNullable) in kinds {
      guard let tag = take(1)?[0], let value = value(tag, kind, isNullable) else { return nil }
      values.append(value)
    }
    guard rest.isEmpty else { return nil }
    self.init(values, id: id)
  }

  /// Text that the server takes.
  private static func text(_ bytes: [UInt8]) -> String? {
    bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
  }
}

/// What can be searched for of one kind of resource: the words of the grammar and the columns
/// behind them.
///
/// Every text here is the program's own, and becomes SQL as it is.
public struct SearchSchema: Sendable {
  /// The resource's table with its alias, such as `runs as run`.
  public let table: StaticString
  /// What a page returns, behind which the order's values come.
  public let columns: StaticString
  /// How many those are.
  public let columnCount: Int
  /// The alias of the table.
  public let alias: StaticString
  /// Entities that mean the resource itself; a bare name does as well.
  public let entities: [String]
  /// Its own fields.
  public let attributes: [SearchAttribute]
  /// Its keyed fields, such as tags.
  public let pairs: [SearchPairs]
  /// Names of keyed fields that stand beside the attributes'.
  public let shortcuts: [SearchShortcut]

  /// Makes a schema.
  public init(
    table: StaticString, alias: StaticString, columns: StaticString, columnCount: Int,
    entities: [String], attributes: [SearchAttribute], pairs: [SearchPairs],
    shortcuts: [SearchShortcut] = []
  ) {
    self.table = table
    self.alias = alias
    self.columns = columns
    self.columnCount = columnCount
    self.entities = entities
    self.attributes = attributes
    self.pairs = pairs
    self.shortcuts = shortcuts
  }
}

/// A name of a keyed field that is written as an attribute's.
public struct SearchShortcut: Sendable {
  let name: String
  let pairs: Int
  let key: String

  /// Names the field `key` of the schema's pairs at a place.
  public init(_ name: String, pairs: Int, key: String) {
    self.name = name
    self.pairs = pairs
    self.key = key
  }
}

/// How a field's values are compared.
public enum SearchKind: Sendable, Equatable {
  /// A `text`.
  case text
  /// A `double precision`, which may be NaN.
  case number
  /// A `bigint`.
  case integer
  /// A `timestamptz`, which filters see as milliseconds since 1970.
  case time
  /// A `uuid`, which filters see as text.
  case uuid
  /// A `text` of few words, in lower case, which filters see in upper case; `aliases` are further
  /// names of them.
  case word(aliases: [String: String], all: [String])
  /// A `text` that may be a number, which then is in a column of its own.
  case textOrNumber

  /// Whether filters compare it with numbers.
  var isNumeric: Bool {
    switch self {
    case .number, .integer, .time: true
    case .text, .uuid, .word, .textOrNumber: false
    }
  }

  /// Whether some of its values are NaN.
  var hasNaN: Bool { self == .number }
}

/// A field that each resource has one of.
public struct SearchAttribute: Sendable {
  /// What callers call it; the first is shown.
  public let names: [String]
  /// The column.
  public let column: StaticString
  /// How it is compared.
  public let kind: SearchKind
  /// Whether it may be missing.
  public let isNullable: Bool
  /// The name of the attribute that orders by this one go by: words have none of their own.
  let rank: String?

  /// Makes an attribute.
  public init(
    _ names: [String], _ column: StaticString, _ kind: SearchKind, isNullable: Bool = false,
    rank: String? = nil
  ) {
    self.names = names
    self.column = column
    self.kind = kind
    self.isNullable = isNullable
    self.rank = rank
  }
}

/// Fields by key, in a table of their own.
public struct SearchPairs: Sendable {
  /// What callers call the entity; the first is shown.
  public let names: [String]
  /// The table.
  public let table: StaticString
  /// Its column with the resource's id.
  public let owner: StaticString
  /// The column that is compared.
  public let value: StaticString
  /// The column that is sorted: of texts the beginning, which the index holds.
  public let sorted: StaticString
  /// The column that the index of values has in the place of ``sorted``: the same once it has
  /// settled, and null until then; nil where the index has every value at once.
  public let settled: StaticString?
  /// How it is compared: `text` or `number`.
  public let kind: SearchKind
  /// The keys that there are, of each of which a resource may have several values, so that none is
  /// an order; nil = any key, each with one value.
  public let knownKeys: [String]?
  /// The column that is compared with numbers, where that is another.
  let number: StaticString?
  /// A table of the values that a resource has by another one of its kind; nil = there are none.
  ///
  /// Its rows have the columns that the search is bounded by, of the resource whose values they
  /// are: what a search does not look at lends nothing to what it finds.
  let lent: StaticString?
  /// The columns of a table that has no keys, by what callers call them; nil = it has keys.
  let columns: [String: StaticString]?
  /// Of such a table, what reads a field whose name begins so.
  let open: SearchOpenField?
  /// How a table of series has its rows; nil = it is none.
  let series: SearchSeries?
  /// Where it is seen that there is a value, where that is shorter than the table.
  let presence: SearchPresence?

  /// Makes keyed fields of texts, in the columns `value` and `value_head`.
  public init(texts names: [String], _ table: StaticString, owner: StaticString) {
    self.init(
      names: names, table: table, owner: owner, value: "value", sorted: "value_head", kind: .text)
  }

  /// Makes fields of texts with these keys, of each of which a resource may have several values, in
  /// the column `value`.
  public init(
    several names: [String], _ table: StaticString, owner: StaticString, keys: [String],
    presence: SearchPresence? = nil
  ) {
    self.init(
      names: names, table: table, owner: owner, value: "value", sorted: "value", kind: .text,
      knownKeys: keys, presence: presence)
  }

  /// Makes keyed fields of which a resource may have several, each a text or a number; in the table
  /// `lent` are those that it has by another one.
  public init(
    either names: [String], _ table: StaticString, owner: StaticString, number: StaticString,
    lent: StaticString? = nil
  ) {
    self.init(
      names: names, table: table, owner: owner, value: "value", sorted: "value",
      kind: .textOrNumber, number: number, lent: lent)
  }

  /// Makes fields of texts in the columns of a table of parts, such as the steps of a process.
  ///
  /// All that a filter demands of them must hold of one part.
  public init(
    parts names: [String], _ table: StaticString, owner: StaticString,
    columns: [String: StaticString], open: SearchOpenField?
  ) {
    self.init(
      names: names, table: table, owner: owner, value: "", sorted: "", kind: .text,
      knownKeys: columns.keys.sorted() + (open.map { ["\($0.prefix)<name>"] } ?? []),
      columns: columns, open: open)
  }

  /// Makes keyed fields of numbers.
  public init(
    numbers names: [String], _ table: StaticString, owner: StaticString, value: StaticString,
    settled: StaticString? = nil
  ) {
    self.init(
      names: names, table: table, owner: owner, value: value, sorted: value, settled: settled,
      kind: .number)
  }

  /// Makes keyed fields of numbers of which a resource may have many values.
  ///
  /// A comparison holds if it does of one value; an order goes by the last.
  public init(
    series names: [String], _ table: StaticString, owner: StaticString, value: StaticString,
    _ series: SearchSeries
  ) {
    self.init(
      names: names, table: table, owner: owner, value: value, sorted: value, kind: .number,
      series: series)
  }

  private init(
    names: [String], table: StaticString, owner: StaticString, value: StaticString,
    sorted: StaticString, settled: StaticString? = nil, kind: SearchKind,
    knownKeys: [String]? = nil, number: StaticString? = nil, lent: StaticString? = nil,
    columns: [String: StaticString]? = nil, open: SearchOpenField? = nil,
    series: SearchSeries? = nil, presence: SearchPresence? = nil
  ) {
    self.names = names
    self.table = table
    self.owner = owner
    self.value = value
    self.sorted = sorted
    self.settled = settled
    self.kind = kind
    self.knownKeys = knownKeys
    self.number = number
    self.lent = lent
    self.columns = columns
    self.open = open
    self.series = series
    self.presence = presence
  }

  /// Whether a resource has one value of a key at most that an order can go by.
  var isSingle: Bool { knownKeys == nil && kind != .textOrNumber }

  /// Whether there may be such a key.
  func mayHave(_ key: String) -> Bool {
    if let open, key.hasPrefix(open.prefix) { return key.utf8.count > open.prefix.utf8.count }
    return knownKeys?.contains(key) ?? true
  }

  /// Whether comparisons with equality look up the beginning first.
  var hasHead: Bool { kind == .text && knownKeys == nil }

  /// Code points of a text that its `value_head` has.
  static let headScalars = 200

  /// Whether no other text has this one as its `value_head`.
  static func isHead(_ text: String) -> Bool { text.unicodeScalars.count < headScalars }

  /// What `value_head` is of a text.
  static func head(of text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(headScalars)))
  }
}

/// A table that has a row where a resource has a value of some keys, also more than one.
public struct SearchPresence: Sendable {
  let table: StaticString
  let keys: [String]

  /// Names the table, which has the same column with the owner, and the keys.
  public init(_ table: StaticString, of keys: [String]) {
    self.table = table
    self.keys = keys
  }
}

/// What reads fields whose names no table knows.
public struct SearchOpenField: Sendable {
  let prefix: String
  let function: StaticString
  let column: StaticString

  /// Fields behind `prefix` are what `function` finds in `column` by their names.
  public init(prefix: String, function: StaticString, of column: StaticString) {
    self.prefix = prefix
    self.function = function
    self.column = column
  }
}

/// A field that a filter or an order names.
public enum SearchTarget: Hashable, Sendable {
  /// An attribute of the schema, by its place.
  case attribute(Int)
  /// A keyed field of the schema, by its place, and the key.
  case pair(Int, key: [UInt8])
}

extension SearchSchema {
  /// How a field is compared.
  func kind(of target: SearchTarget) -> SearchKind {
    switch target {
    case .attribute(let index): attributes[index].kind
    case .pair(let index, _): pairs[index].kind
    }
  }

  /// What an order goes by that names a field.
  func ordering(_ target: SearchTarget) -> SearchTarget {
    guard case .attribute(let index) = target, let rank = attributes[index].rank,
      let place = attributes.firstIndex(where: { $0.names.contains(rank) })
    else { return target }
    return .attribute(place)
  }

  /// Whether a field may be missing.
  func isNullable(_ target: SearchTarget) -> Bool {
    switch target {
    case .attribute(let index): attributes[index].isNullable
    case .pair: true
    }
  }

  /// What callers may write for a field.
  var expectedFields: String {
    let names =
      attributes.map { "attributes.\($0.names[0])" }
      + pairs.flatMap { pairs in
        (pairs.knownKeys ?? ["<key>"]).map { "\(pairs.names[0]).\($0)" }
      }
    return "one of " + names.joined(separator: ", ")
  }
}

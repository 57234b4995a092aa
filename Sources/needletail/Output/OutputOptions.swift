internal import ArgumentParser
internal import Client
internal import Messages

/// How results are written.
struct OutputOptions: ParsableArguments {
  @Option(
    name: [.customShort("o"), .customLong("output")], help: "How to write results: table or json.")
  var format: OutputFormat?

  @Option(
    name: .customLong("json"), defaultAsFlag: FieldList.all, parsing: .next,
    help: ArgumentHelp(
      "Write JSON; of chosen fields where they are named.", valueName: "field,…"))
  var fields: FieldList?

  /// The format that is meant.
  var output: OutputFormat { fields == nil ? format ?? .table : .json }

  func validate() throws {
    guard fields == nil || format != .table else {
      throw ValidationError("--json and --output table exclude one another.")
    }
  }

  /// Refuses fields that a command's results do not have, before anything is done.
  func check(_ document: Document?) throws(CommandFailure) {
    guard let names = fields?.names, !names.isEmpty else { return }
    try (document ?? Document(fields: [])).check(names)
  }

  /// What of a document was asked for.
  func chosen(of value: JSONValue, _ document: Document?) -> JSONValue {
    guard let names = fields?.names, !names.isEmpty, let document else { return value }
    return document.choose(names, of: value)
  }
}

/// Names of fields on the command line: "id,name"; none stand for all.
struct FieldList: ExpressibleByArgument, Sendable, Equatable, CustomStringConvertible {
  static let all = FieldList(names: [])

  let names: [String]

  private init(names: [String]) { self.names = names }

  init?(argument: String) {
    names = argument.split(separator: ",", omittingEmptySubsequences: false)
      .map { String($0).trimmed }
    let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_".utf8
    let isName = { (name: String) in
      name.utf8.first.map(letters.contains) == true
        && name.utf8.allSatisfy { letters.contains($0) || (0x30...0x39).contains($0) }
    }
    guard names.allSatisfy(isName) else { return nil }
  }

  var description: String { names.isEmpty ? "all" : names.joined(separator: ",") }
}

/// What a command writes as JSON, and so what can be chosen of it.
struct Document {
  /// Where the fields are.
  private enum Form {
    /// In the document itself.
    case whole
    /// Also in the object that is this member of it.
    case within(String)
    /// In each element of the array that is this member of it.
    case each(String)
  }

  /// The names of all fields, as they are written.
  let names: [String]
  private let form: Form

  /// A document with these fields.
  init(fields: [String]) {
    names = fields
    form = .whole
  }

  /// A message, and what is written beside its fields.
  init(_ type: any Message.Type, and others: [String] = []) {
    self.init(fields: fieldNames(of: type) + others)
  }

  /// Fields of an object within a document, whose own fields count too.
  init(fields: [String], in member: String, of outer: [String]) {
    names = outer.filter { $0 != member } + fields
    form = .within(member)
  }

  /// A message within another document, whose fields count too.
  init(_ type: any Message.Type, in member: String, of fields: [String]) {
    self.init(fields: fieldNames(of: type), in: member, of: fields)
  }

  /// A list of objects with these fields.
  init(listOf fields: [String], in member: String) {
    names = fields
    form = .each(member)
  }

  /// A list of messages.
  init(listOf type: any Message.Type, in member: String) {
    self.init(listOf: fieldNames(of: type), in: member)
  }

  /// Refuses names that no field has.
  func check(_ wanted: [String]) throws(CommandFailure) {
    let unknown = wanted.filter { name(of: $0) == nil }
    guard !unknown.isEmpty else { return }
    let known =
      names.isEmpty
      ? "its JSON has none to choose" : "there are: \(names.sorted().joined(separator: ", "))"
    throw CommandFailure(
      .usage, reason: "FIELD_UNKNOWN",
      "This command writes no field \(unknown.joined(separator: ", ")); \(known).")
  }

  /// The chosen fields in the order in which they were asked for; null for those that are not set.
  func choose(_ wanted: [String], of value: JSONValue) -> JSONValue {
    let names = wanted.compactMap(name)
    switch form {
    case .whole: return pick(names, from: [value])
    case .within(let member): return pick(names, from: [value, value[member] ?? .null])
    case .each(let member):
      guard case .array(let elements) = value[member] ?? .array([]) else { return value }
      return .array(elements.map { pick(names, from: [$0]) })
    }
  }

  private func pick(_ names: [String], from objects: [JSONValue]) -> JSONValue {
    .object(
      names.map { name in
        JSONValue.Member(name, objects.lazy.compactMap { $0[name] }.first ?? .null)
      })
  }

  /// The field that is meant: its name in JSON, or in the .proto, in any case.
  private func name(of wanted: String) -> String? {
    let plain = { (name: String) in name.replacing("_", with: "").lowercased() }
    return names.first { plain($0) == plain(wanted) }
  }
}

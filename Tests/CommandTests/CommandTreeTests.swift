import ArgumentParser
import Client
import Testing

@testable import needletail

/// A command with the words that call it.
private struct Leaf: CustomTestStringConvertible, Sendable {
  let words: [String]
  let command: any ParsableCommand.Type

  var testDescription: String { words.joined(separator: " ") }

  /// Every command that has no commands below it.
  static let all = below(Needletail.self, [])

  private static func below(_ command: any ParsableCommand.Type, _ words: [String]) -> [Leaf] {
    let configuration = command.configuration
    let children =
      configuration.subcommands + configuration.groupedSubcommands.flatMap(\.subcommands)
    guard !children.isEmpty else { return [Leaf(words: words, command: command)] }
    return children.flatMap { child in
      below(child, words + [child.configuration.commandName ?? child._commandName])
    }
  }
}

/// What takes something away, as commands call it.
private let destructiveVerbs: Set = [
  "cancel", "clear", "deactivate", "delete", "disable", "drop", "end", "expire", "purge", "remove",
  "revoke", "rotate", "suspend", "wipe",
]

@Suite struct CommandTreeTests {
  @Test("Every command that takes something away asks first, and has --yes")
  func confirmations() {
    let destructive = Leaf.all.filter { leaf in
      leaf.words.last.map { word in
        !destructiveVerbs.isDisjoint(with: word.split(separator: "-").map(String.init))
      } ?? false
    }
    #expect(destructive.count >= 8)
    for leaf in destructive {
      let help = Needletail.helpMessage(for: leaf.command)
      #expect(help.contains("--yes"), "\(leaf.testDescription) has no --yes")
      let asks =
        leaf.command is any DestructiveCommand.Type
        || !(leaf.command is any ClientCommand.Type)
      #expect(asks, "\(leaf.testDescription) is no DestructiveCommand: --yes would do nothing")
    }
  }

  @Test("Every command that asks a server writes JSON, and all but four of chosen fields")
  func documents() {
    let withNothing = [
      "remove", "delete", "uninvite", "tag", "set", "log-input", "log-model", "define",
      "undefine",
    ]
    let without: Set = ["call", "describe", "runs plot", "runs export"]
    let asking = Leaf.all.compactMap { leaf in
      (leaf.command as? any ClientCommand.Type).map { (leaf, $0) }
    }
    #expect(asking.count >= 30)
    for (leaf, command) in asking {
      #expect(Needletail.helpMessage(for: leaf.command).contains("--json"))
      let hasFields = command.document.map { document in
        // What answers with nothing has no fields.
        !document.names.isEmpty
          || withNothing.contains(leaf.words.last ?? "")
      }
      #expect(
        hasFields ?? without.contains(leaf.testDescription),
        "\(leaf.testDescription) names no document to choose fields of")
    }
  }

  @Test("Nobody is asked where there is nobody, and --yes is what is missing")
  func refusal() throws {
    try Confirmation.parse(["--yes"]).confirm("Delete it")
    let failure = Confirmation.needed(for: "Delete the project nightly")
    #expect(failure.status == .usage)
    #expect(failure.text.contains("Delete the project nightly?"))
    #expect(failure.text.contains("--yes"))
  }
}

@Suite struct DocumentTests {
  private let value = JSONValue.object([
    .init("secret", .string("s")),
    .init("apiKey", .object([.init("id", .string("1")), .init("lastUsedAt", .null)])),
    .init("runs", .array([.object([.init("id", .string("2"))]), .object([])])),
  ])

  private func chosen(_ names: String, _ document: Document) throws -> String {
    let options = try OutputOptions.parse(["--json", names])
    try options.check(document)
    return options.chosen(of: value, document).compact
  }

  @Test("Fields are chosen of a document, of what is in it, and of each element of a list")
  func choice() throws {
    #expect(try chosen("secret", Document(fields: ["secret"])) == #"{"secret":"s"}"#)
    let key = Document(fields: ["id", "lastUsedAt"], in: "apiKey", of: ["secret", "apiKey"])
    #expect(try chosen("secret,id", key) == #"{"secret":"s","id":"1"}"#)
    #expect(try chosen("last_used_at", key) == #"{"lastUsedAt":null}"#)
    #expect(try chosen(" ID , Secret", key) == #"{"id":"1","secret":"s"}"#)
    let runs = Document(listOf: ["id", "name"], in: "runs")
    #expect(try chosen("name,id", runs) == #"[{"name":null,"id":"2"},{"name":null,"id":null}]"#)
  }

  @Test("Without names everything is written")
  func everything() throws {
    let options = try OutputOptions.parse(["--json"])
    #expect(options.output == .json)
    #expect(options.chosen(of: value, Document(fields: [])) == value)
  }

  @Test("What is no list of fields is refused", arguments: ["--json=", "--json=0198", "--json=a,"])
  func noFields(argument: String) throws {
    #expect(throws: (any Error).self) { try Needletail.refuseWrongFields(["whoami", argument]) }
    try Needletail.refuseWrongFields(["call", "--json=id", "M", "--", argument])
  }

  @Test("An unknown field is named, with those that there are")
  func unknown() throws {
    let error = try #require(throws: CommandFailure.self) {
      _ = try chosen("id,title", Document(listOf: ["name", "id"], in: "runs"))
    }
    #expect(error.status == .usage)
    #expect(error.text.contains("no field title; there are: id, name."))
    #expect(throws: CommandFailure.self) { try OutputOptions.parse(["--json", "x"]).check(nil) }
  }
}

@Suite struct TypedLineTests {
  private func typed(_ text: String) -> TypedLine.Outcome {
    var line = TypedLine()
    var outcome = TypedLine.Outcome.more
    for byte in text.utf8 { outcome = line.take(byte) }
    return outcome
  }

  @Test(
    "A hidden line is edited as a terminal would",
    arguments: [
      ("key\n", "key"), ("key\r", "key"), ("kex\u{7F}y\n", "key"), ("wrong\u{15}key\n", "key"),
      ("key\u{4}", "key"), ("\u{8}\n", ""),
    ])
  func lines(keys: String, text: String) {
    #expect(typed(keys) == .done(text))
  }

  @Test("Control-C, and Control-D on an empty line, give up", arguments: ["ke\u{3}", "\u{4}"])
  func givenUp(keys: String) {
    #expect(typed(keys) == .givenUp)
  }

  @Test("A line that never ends takes no more memory than it may")
  func endless() {
    var line = TypedLine()
    for _ in 0..<10_000 { _ = line.take(0x61) }
    #expect(line.take(0x0A) == .done(String(repeating: "a", count: Terminal.answerBytesMax)))
  }

  @Test("A key is shown by its beginning, a short one not at all")
  func prefixes() {
    #expect(shownPrefix(ofKey: "ntl_" + String(repeating: "a", count: 40)) == "ntl_aaaa…")
    #expect(shownPrefix(ofKey: "short") == "…")
    #expect(shownPrefix(ofKey: " ") == "")
  }
}

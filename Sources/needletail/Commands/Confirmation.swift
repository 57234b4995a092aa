internal import ArgumentParser
internal import Messages

/// What a command takes that takes something away.
struct Confirmation: ParsableArguments {
  @Flag(help: "Do it without asking.")
  var yes = false

  /// Lets a command go on that was told to, or that a person at the terminal lets go on.
  ///
  /// - Throws: A failure of the command line where nobody can be asked, or who is asked does not
  ///   say yes.
  func confirm(_ intention: String) throws {
    if yes { return }
    guard Terminal.isInteractive else { throw Self.needed(for: intention) }
    let answer = Terminal.ask("\(visible(intention))? [y/N] ") ?? ""
    guard ["y", "yes"].contains(answer.trimmed.lowercased()) else {
      throw CommandFailure(.usage, reason: "NOT_CONFIRMED", "Nothing was done.")
    }
  }

  /// The refusal where nobody can be asked.
  static func needed(for intention: String) -> CommandFailure {
    CommandFailure(
      .usage, reason: "CONFIRMATION_NEEDED",
      "\(intention)? There is no terminal to ask at: say --yes if that is meant.")
  }
}

/// A role on the command line: the last word of its name in the .proto, in any case.
struct RoleArgument: ExpressibleByArgument, Sendable {
  let role: OrganizationRole

  init?(argument: String) {
    let found = OrganizationRole.known.first {
      $0 != .unspecified && word($0) == argument.lowercased()
    }
    guard let found else { return nil }
    role = found
  }

  static var allValueStrings: [String] {
    OrganizationRole.known.filter { $0 != .unspecified }.map(word)
  }
}

/// "admin" for ORGANIZATION_ROLE_ADMIN.
func word(_ role: OrganizationRole) -> String {
  role.name.replacing("ORGANIZATION_ROLE_", with: "").lowercased()
}

/// What the server must have sent.
func needed<Value>(_ value: Value?, _ name: String) throws -> Value {
  guard let value else {
    throw CommandFailure(.other, reason: "ANSWER_EMPTY", "The server's answer holds no \(name).")
  }
  return value
}

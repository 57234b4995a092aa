internal import ArgumentParser
internal import Messages

/// What a command takes that ends something for good.
struct Confirmation: ParsableArguments {
  @Flag(help: "Do it; without this the command only says what it would need.")
  var yes = false

  func validate() throws {
    guard yes else {
      throw ValidationError("This cannot be undone by another command: repeat it with --yes.")
    }
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

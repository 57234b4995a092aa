internal import EventLoop

/// Asks for secrets: at a terminal without showing them, else a line of standard input each.
///
/// They are never arguments, which every user of the machine can read.
struct SecretInput {
  private let input: StandardInput

  init() throws {
    do throws(SystemError) {
      input = try StandardInput()
    } catch {
      throw CommandFailure(
        .other, reason: "INPUT_UNREADABLE", "Standard input cannot be read: \(error).")
    }
  }

  /// Asks for one, called `name`; it must not be empty.
  func read(_ name: String) async throws -> String {
    let text: String?
    if Terminal.isInteractive {
      text = Terminal.askHidden("\(name): ")
    } else {
      text = await input.line().map { String(decoding: $0, as: UTF8.self).filter { $0 != "\r" } }
    }
    guard let text, !text.isEmpty else {
      throw CommandFailure(
        .usage, reason: "INPUT_MISSING", "The \(name.lowercased()) is read from standard input.")
    }
    return text
  }

  /// Asks for a new one, at a terminal twice.
  func readNew(_ name: String) async throws -> String {
    let secret = try await read(name)
    guard Terminal.isInteractive else { return secret }
    guard try await read("\(name), again") == secret else {
      throw CommandFailure(.usage, reason: "INPUTS_DIFFER", "The two differ; nothing was done.")
    }
    return secret
  }
}
